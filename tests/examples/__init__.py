"""What is in ``examples/``."""
