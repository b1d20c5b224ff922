"""Variants compared over shared seeds: tables, tests and verdicts."""
