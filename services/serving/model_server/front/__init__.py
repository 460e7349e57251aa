"""The HTTP side, in the one process that owns the port: connections, routes, limits, errors."""
