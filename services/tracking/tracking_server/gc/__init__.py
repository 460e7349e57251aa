"""Deletes for good what users have deleted, and nothing that a registered model version needs.

age      how long ago something must have been deleted
places   where artifacts really lie, how many there are, their removal
backing  what registered model versions need
finding  what there is to delete, what is kept and why
removal  one item at a time: artifacts, then rows, in one transaction
command  shows, asks, deletes, reports
"""
