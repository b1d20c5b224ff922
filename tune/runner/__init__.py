"""What makes trials happen: session, engine, recorder, agreement with MLflow, Optuna's study, cleaning up."""
