"""Calls to a stack that runs: its addresses, the login they need, projects that train on it."""
