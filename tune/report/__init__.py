"""What a study looks like afterwards: tables, figures, the best configuration, the report."""
