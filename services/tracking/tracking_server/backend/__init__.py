"""The databases that MLflow keeps everything in, and their schema.

stores            what a database must be able to do; opening those of the settings
postgres, sqlite  one kind each
connections       a worker's share of those that the server allows
patience          waiting for one that does not answer yet
schema, migrate   which schema this MLflow needs; bringing a database to it, backing it up
adopt             artifacts that were moved here from another MLflow
"""
