"""MLflow's tracking server, configured, migrated and watched for this stack.

settings   what an operator may set, checked once
environment  the variables that MLflow reads, derived from the settings
postgres, sqlite  one backend store each: its schema's revision, lock, backup
schema, migrate  which schema this MLflow needs; bringing a store to it
bucket, tls   the storage and its rights; certificates of servers elsewhere
logins, throttle, permissions, user_command   MLflow's own logins, and who has one
bodies     how large a request's body may be, and how slow
readiness, artifacts, app   MLflow's application with a truthful /readyz and proxied S3
addresses  whose permissions hold for what a client's string names
adopt      artifacts that were moved here from another MLflow
gc         deleting for good what users have deleted
counts, metrics, routes, metrics_page   what is counted of requests, and its page for Prometheus
temporary, server   the disk it works on and the processes that serve it
"""
