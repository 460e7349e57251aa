"""What the Makefile calls: one module a command, whose `main` takes what the user says with it."""
