"""MLflow's tracking server, configured, migrated and watched for this stack.

settings, secret_files, tls  what an operator may set, checked once; secrets; certificates
variables    what MLflow, libpq and boto3 read, derived from the settings
backend      databases: opening, locking, migrating, backing up
artifacts    S3, through this server alone
logins       users, passwords, and what is for administrators
addresses    whose permissions hold for what a client's string names
fast         the most frequent calls, by statements of this server's own
http         bodies that are refused, errors that are told
patches      everything that is replaced in MLflow, with the reason
app          MLflow's application with all this around it
server       the processes that serve it; temporary: the disk they work on
readiness, healthy, metrics  how it is
gc           deleting for good what users have deleted
"""
