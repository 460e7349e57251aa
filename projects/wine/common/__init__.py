"""What the example projects share. Each has a copy of what it needs: wine's is the original, and
`make lint FIX=1` makes the others like it."""
