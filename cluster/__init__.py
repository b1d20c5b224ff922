"""Ray: initialising, resource planning, data streams and distributed training."""
