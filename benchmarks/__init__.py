"""Comparisons with MLflow's own servers, repeatable by one command: `python -m benchmarks`."""
