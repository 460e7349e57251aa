"""What the user says, in .env and behind `make COMMAND`, and what the user sees."""
