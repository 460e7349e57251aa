"""A worker process: loads one model version, then answers frames of requests until the socket
closes. It has the model's folder and nothing else: no credentials, no registry."""

import gc
import logging
import os
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from model_server.errors import bounded, without_paths
from model_server.options import Options
from model_server.scoring.loading import load
from model_server.scoring.scorer import Scorer
from model_server.workers import wire

log = logging.getLogger(__name__)

THREADS = 16
"""Requests that a model that can stream answers at one time."""

_requests = msgspec.msgpack.Decoder(list[wire.Request])
_messages = msgspec.msgpack.Decoder(list[wire.Request] | wire.Steer)


def main(
    sock: socket.socket, name: str, version: str, folder: str, options: Options | None = None
) -> None:
    """Raises wire.PeerClosedError, the normal end, when the HTTP process closes the socket."""
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"  # as `mlflow models serve` says
    logging.getLogger("mlflow.pyfunc.scoring_server").setLevel(logging.ERROR)
    try:
        model, warnings = load(Path(folder))
        scorer = Scorer(model, Path(folder), options, name, version)
        greeting = wire.Loaded(
            example=scorer.example, warnings=warnings, description=scorer.description
        )
    except Exception as error:
        log.error(
            "model cannot be loaded",
            extra={"model": name, "version": version, "trace": traceback.format_exc()},
        )
        problem = f"{type(error).__name__}: {error}"
        greeting = wire.Loaded(problem=bounded(without_paths(problem)))
    sock.sendall(wire.pack(greeting))
    gc.collect()
    gc.freeze()  # the model stays: no collection needs to look at it again
    if greeting.problem is None and scorer.streams is not None:
        answer_in_threads(sock, scorer)
    while greeting.problem is None:
        answer_frame(sock, scorer)


def answer_frame(sock: socket.socket, scorer: Scorer) -> None:
    """Read one frame of requests, send all their answers, each batch at once: what comes after it
    may take long, or be the end of this process."""
    for reply in scorer.replies(wire.receive(sock, _requests)):
        sock.sendall(wire.pack(reply))


def answer_in_threads(sock: socket.socket, scorer: Scorer) -> None:
    """Each request in a thread, so that streams run beside each other, and can be steered."""
    sending = threading.Lock()

    def answer(request: wire.Request) -> None:
        for reply in scorer.replies([request]):
            with sending:
                sock.sendall(wire.pack(reply))

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="requests")
    try:
        while True:
            message = wire.receive(sock, _messages)
            if isinstance(message, wire.Steer):
                scorer.streams.steer(message)
                continue
            for request in message:
                pool.submit(answer, request)
    finally:
        scorer.streams.cancel_all()  # generators come to their end, while this process gets time to
        pool.shutdown(wait=False, cancel_futures=True)
