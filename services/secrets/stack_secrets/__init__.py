"""Makes the stack's secrets at its first start, and guards the data that they protect."""
