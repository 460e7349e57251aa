"""The services without Docker: what keeps their processes running, and their secrets."""
