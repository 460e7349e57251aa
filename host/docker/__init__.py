"""What is asked of Docker: the engine, the project that the Compose files make, backups."""
