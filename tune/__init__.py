"""Ray Tune, Optuna and MLflow: tracked training runs and everything built from them."""
