"""MLflow's tracking server, configured, migrated and watched for this stack.

settings   what an operator may set, checked once
environment  the variables that MLflow reads, derived from the settings
postgres, sqlite  one backend store each: its schema's revision, lock, backup
schema, migrate  which schema this MLflow needs; bringing a store to it
readiness, app   MLflow's application with a truthful /readyz
server     the processes that serve it
"""
