"""Runs in MLflow: where they are kept, what is written, and what happens when the server or the driver goes away.

Importing this package is light: MLflow itself (two seconds) is imported where it is used.
"""
