"""What this machine has: ports and memory."""
