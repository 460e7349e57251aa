"""What Prometheus is told.

counted  every request is counted
routes   which route it was for
counts   the files that all processes count in
page     GET /metrics: the counts, and how the server is now
"""
