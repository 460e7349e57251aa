"""What is to be served, and getting there: registry, deployments, files."""
