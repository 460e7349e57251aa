"""Backup and restore of the stack: databases, bucket, and what they need to be read."""
