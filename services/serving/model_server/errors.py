"""What a client is told when its request is refused: a status and a body in MLflow's shape."""

import math
import re

import msgspec

MESSAGE_LIMIT = 2000
"""Characters of a message; a model's own words are cut to this."""

REASON_LIMIT = 500
"""Characters of an exception's own words."""

LAST_EVENT = b"data: [DONE]\n\n"
"""The end of every stream, also where it ends with an error."""

UNEXPECTED = "The server met an unexpected error; its log has the details under request id {}."


class RefusedError(Exception):
    """An answer other than 200. Text and code are public; a cause goes to the log only."""

    def __init__(
        self,
        status: int,
        error_code: str,
        message: str,
        *,
        retry_after: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.headers = list(headers)
        if retry_after is not None:
            self.headers.append((b"retry-after", str(retry_after).encode()))

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        return error_body(self.error_code, str(self))


class LoadError(Exception):
    """A version cannot be served; the text is the reason shown in /models, the log and tests."""


class ExampleError(LoadError):
    """A version that was loaded fails on its own input example; the text says how."""


class FetchError(Exception):
    """A version's files did not arrive; worth another try."""


class FolderChangedError(FetchError, LoadError):
    """A folder is no longer what a version was made of."""

    def __init__(self, message: str, rewritten: frozenset[str] = frozenset()) -> None:
        """`rewritten`: files that changed while it was loaded."""
        super().__init__(message)
        self.rewritten = rewritten


def error_body(error_code: str, message: str) -> bytes:
    """An error as MLflow writes it."""
    return msgspec.json.encode({"error_code": error_code, "message": bounded(message)})


def v2_body(body: bytes) -> bytes:
    """The same with `error`, which clients of the Open Inference Protocol read, in front."""
    error = msgspec.json.decode(body)
    return msgspec.json.encode({"error": error["message"], **error})


def error_event(body: bytes) -> bytes:
    """The last events of an answer that is streamed, from the body that the error would have had.
    In the form of mlflow.genai.agent_server.server.AgentServer._generate (MLflow 3.17), which has
    the message in `error`; `error_code` is ours."""
    error = msgspec.json.decode(body)
    event = {"error": error["message"], "error_code": error["error_code"]}
    return b"data: %b\n\n%b" % (msgspec.json.encode(event), LAST_EVENT)


def bounded(message: str, limit: int = MESSAGE_LIMIT) -> str:
    """Its first `limit` characters, as text that can be sent: JSON may bring half a character."""
    message = message.strip().encode(errors="replace").decode()
    return message if len(message) <= limit else message[: limit - 3] + "..."


def without_login(text: str) -> str:
    """Addresses in it without their user and password."""
    return re.sub(r"//[^/@\s]+@", "//", text)


_FOLDERS = re.compile(r"(?<![\w:/])/(?:[\w.@+-]+/)+")


def without_paths(message: str) -> str:
    """Folders of this machine are nobody's business: `/a/b/model.pkl` becomes `model.pkl`."""
    return _FOLDERS.sub("", message)


def reason(error: BaseException, limit: int = REASON_LIMIT) -> str:
    """Type and words of an exception, as one line of at most `limit` characters, without folders
    and logins of addresses: `ValueError: X has 3 features`. Of many lines the last one stays, which
    often says what the matter is. Values that were sent may be in it."""
    try:
        words = str(error)
    except BaseException:  # its own code
        words = ""
    # Cut twice: an exception may hold megabytes, of which no more than needed is looked at.
    most = 20 * limit
    name = type(error).__name__
    told = ": ".join(filter(None, [name, _line(words[:most])]))
    *_, newline, last = words[-most:].strip().rpartition("\n")
    if not newline or len(told) <= limit >= len(words):
        return bounded(told, limit)
    last = bounded(_line(last), limit // 2)
    return f"{bounded(told, limit - len(last) - 1)} {last}"


def _line(text: str) -> str:
    return without_paths(without_login(" ".join(text.split())))


_VALUES = re.compile(
    r"(?:(?P<what>to type '.*?'|'split' format)\. Error: ['\"](?!MlflowException)"
    r"|(?P<why>could not convert string to float|invalid literal for int\(\) with base \d+"
    r"|Error parsing datetime string|time data|unable to parse):? ['\"\\]"
    r"|(?P<how>convert value|schema of data|schema of) [`']"
    r"|,? (?:(?:but )?got|for value) `|, invalid elements: ).*",
    re.DOTALL,
)
"""Words of MLflow and pandas that a client's value follows, up to an end that nobody can tell."""


def without_values(message: str) -> str:
    """Errors pass through logs where what a client sent has no place. Names of columns stay."""
    return _VALUES.sub(lambda match: match["what"] or match["why"] or match["how"] or "", message)


def overloaded_by(name: str, rate: float, seconds: float) -> RefusedError:
    """429: a token asks more often than it may."""
    return RefusedError(
        429,
        "REQUEST_LIMIT_EXCEEDED",
        f"The token {name} may ask {rate:g} times a second.",
        retry_after=math.ceil(seconds),
    )


# Refusals that more than one module gives.
def overloaded(message: str) -> RefusedError:
    """429: too much waits already."""
    return RefusedError(429, "REQUEST_LIMIT_EXCEEDED", message, retry_after=1)


def unavailable(message: str, retry_after: int = 1) -> RefusedError:
    """503: it may work a moment later."""
    return RefusedError(503, "TEMPORARILY_UNAVAILABLE", message, retry_after=retry_after)


def too_late() -> RefusedError:
    """504: the time limit has passed."""
    return RefusedError(
        504, "DEADLINE_EXCEEDED", "No answer within the time limit (SERVING_TIMEOUT)."
    )
