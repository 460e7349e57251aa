"""Artifacts on S3.

s3      as clients may use it: through this server
bucket  whether it is there, and lets this server work in it
"""
