"""Artifacts on S3.

routes     uploads and downloads, as MLflow's clients ask for them
uploads    into the bucket while they arrive
downloads  out of it while they are read
s3         MLflow's repository for all else: listing, deleting, errors
place      one object, and the threads that ask the bucket about it
bucket     whether it is there, and lets this server work in it
"""
