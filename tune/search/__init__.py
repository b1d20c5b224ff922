"""What is searched: spaces, samplers, pruners, stopping, and their checks."""
