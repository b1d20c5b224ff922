"""Studies on disk: what was planned, what every trial came to, and who works on it."""
