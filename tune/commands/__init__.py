"""The command line: thin shells over documented functions, one module per command."""
