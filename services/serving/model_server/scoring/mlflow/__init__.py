"""MLflow's scoring protocol: what reads, checks and writes its formats."""
