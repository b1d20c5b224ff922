"""What is said of work while it goes on: as plain lines, as JSON lines, in a panel, and of log messages."""
