"""Backup and restore of the stack: its databases, its bucket, and what they cannot be read without."""
