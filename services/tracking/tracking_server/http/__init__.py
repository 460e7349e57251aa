"""Bodies that are refused, and errors that are told.

bodies     how large a body may be, and how slow
room       how large all are that a worker holds at one time
ending     requests that are cancelled when the server stops
unread     answers that come before the body has
malformed  400 to what cannot be what its route asks for
searches   400 to filters, orders and page tokens that MLflow trips over
database   what is said when the database refuses or fails, and that no statement or value shows
failures   what is said when a disk, or a server beyond this one, fails
"""
