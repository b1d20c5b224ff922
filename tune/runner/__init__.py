"""What makes trials happen: session, engine, recorder, agreement with MLflow and Optuna, cleaning up."""
