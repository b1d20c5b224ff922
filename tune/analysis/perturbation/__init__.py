"""The parts of a run's perturbation test: what is asked, the data, the files, tables, and the record in MLflow."""
