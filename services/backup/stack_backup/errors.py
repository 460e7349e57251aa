"""What ends a command."""


class RefusedError(Exception):
    """The message is one line that says what is wrong, and the way out."""


class ToolError(RefusedError):
    """A tool failed. status: its exit status. said: what it wrote to standard error."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status = status
        self.said = said
