"""What keeps the stack from starting."""


class RefusedError(Exception):
    """The stack must not start; the message is one line that says why, and the way out."""
