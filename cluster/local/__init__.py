"""A Ray cluster of several nodes and an MLflow server on this machine, for trying what runs on a real one."""
