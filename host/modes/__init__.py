"""The two ways to run the stack, which of them it is here, and what speaks against starting it."""
