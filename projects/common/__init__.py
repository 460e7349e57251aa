"""What the example projects share. Each has a link to it, `common`, beside its own modules."""
