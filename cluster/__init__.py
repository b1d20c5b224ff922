"""Ray: initialising, resource planning, data streams and distributed training."""

import logging

# In a notebook Ray says while it is imported that widgets are missing, for tables of its own that nobody sees here.
logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
