"""MLflow's tracking server, configured, migrated and watched for this stack.

settings   what an operator may set, checked once
environment  the variables that MLflow reads, derived from the settings
postgres, sqlite  one backend store each: its schema's revision, lock, backup
schema, migrate  which schema this MLflow needs; bringing a store to it
logins, throttle, user_command   MLflow's own logins, and who has one
readiness, artifacts, app   MLflow's application with a truthful /readyz and proxied S3
temporary, server   the disk it works on and the processes that serve it
"""
