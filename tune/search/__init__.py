"""Which configurations a sweep tries: its space, samplers, pruners and settings."""
