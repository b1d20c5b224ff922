"""Perturbation tests of runs and studies: settings, conditions, files, tables, and the record in MLflow."""
