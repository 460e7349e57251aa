"""The two ways in which a dependency or a setting can be wrong."""

UPKEEP_RUNS = "a backup or another clean-up is running: try again when it has ended"


class RefusedError(Exception):
    """Waiting does not help: one line that names what is wrong and what to do.

    `reason` is fit for anyone who can ask `/readyz`.
    """

    reason = "login or configuration refused"


class UntrustedError(RefusedError):
    """A server's TLS is not as it must be; `reason` says what to do, `detail` is for the log."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})")
        self.reason = reason


class UnreachableError(Exception):
    """A dependency does not answer now, but may soon.

    `reason` is fit for anyone who can ask `/readyz`; `detail` is for the log.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
