"""What a comparison came to on the test split: its variants, paired tests, tables and figures as the paper has them."""
