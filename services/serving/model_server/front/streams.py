"""Answers that are streamed: server-sent events, as the worker writes them.

Each part is one or more whole events, in the form of MLflow's own agent server: see
scoring/mlflow/streaming.py. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from model_server.errors import error_event
from model_server.front.exchange import Exchange, Source
from model_server.models.job import CLIENT_GONE, Job

_HEAD = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"


def write(exchange: Exchange, stamp: bytes, job: Job, part: bytes, timeout: float) -> None:
    """One part. `stamp` is the header lines that name the model; the first part sends them.
    `timeout` is the seconds that the next event has, after the client made it wait."""
    if exchange.source is None:
        head = b"%b%bx-request-id: %b\r\n" % (_HEAD, stamp, exchange.request_id.encode())
        source = Source(job.abandon, job.pause, lambda: job.resume(timeout))
        exchange.begin(200, head, source)
    exchange.write(part)


def end(exchange: Exchange, status: int, body: bytes) -> None:
    """The last part, or the error that comes in its place."""
    if status != CLIENT_GONE:
        exchange.write(error_event(body) if status >= 400 else body)
        exchange.end()
