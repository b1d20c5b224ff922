"""What is read: figures, tables and pages of studies and of the reproduction."""
