"""What a study says: comparisons and their statistics, perturbation tests."""
