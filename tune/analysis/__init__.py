"""What a study says: comparisons with their statistics, perturbation tests, scores of trained models."""
