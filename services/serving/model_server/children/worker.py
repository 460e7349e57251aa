"""A worker process: loads one model version, then answers frames of requests until the socket
closes. It has the model's folder and nothing else: no credentials, no registry."""

import contextlib
import contextvars
import gc
import logging
import os
import signal
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from model_server.environments import bytecode
from model_server.errors import MESSAGE_LIMIT, UNEXPECTED, error_body, reason
from model_server.options import Options
from model_server.processes import wire
from model_server.scoring import caveats
from model_server.scoring.loading import load
from model_server.scoring.scorer import Scorer

log = logging.getLogger(__name__)

_requests = msgspec.msgpack.Decoder(list[wire.Request])
_messages: msgspec.msgpack.Decoder[list[wire.Request] | wire.Steer] = msgspec.msgpack.Decoder(
    list[wire.Request] | wire.Steer
)


def main(
    sock: socket.socket, name: str, version: str, folder: str, options: Options | None = None
) -> None:
    """Raises wire.PeerClosedError, the normal end, when the HTTP process closes the socket."""
    options = options or Options()
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"  # as `mlflow models serve` says
    logging.getLogger("mlflow.pyfunc.scoring_server").setLevel(logging.ERROR)
    # Which a model's code may send, to end a call that takes too long say: it would come between
    # two frames, and end the process. Not ignored, which what a model starts would inherit.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        model, warnings = load(Path(folder))
        scorer = Scorer(model, Path(folder), options, name, version)
        call = scorer.example_call
        warnings += caveats.warnings(model, options.strict, call.table if call else None)
        example = scorer.example
        if example is not None and len(example) > options.answer_limit // 2:
            example = None
            warnings.append(
                "its input example is too large to be asked (half of SERVING_ANSWER_LIMIT)"
            )
        greeting = wire.Loaded(
            example=example,
            warnings=warnings,
            description=scorer.description,
            uncompiled=bytecode.lacking(),
        )
    except BaseException as error:  # of the model's code: SystemExit, a Rust panic
        log.error(
            "model cannot be loaded",
            extra={"model": name, "version": version, "trace": traceback.format_exc()},
        )
        greeting = wire.Loaded(problem=reason(error, MESSAGE_LIMIT))
    sock.sendall(wire.pack(greeting))
    gc.collect()
    gc.freeze()  # the model stays: no collection needs to look at it again
    if greeting.problem is not None:
        return
    most = options.answer_limit
    if scorer.threads > 1 or scorer.streams is not None:
        answer_side_by_side(sock, scorer, most)
    while True:
        answer_frame(sock, scorer, most)


def answer_frame(sock: socket.socket, scorer: Scorer, most: int) -> None:
    """Read one frame of requests, send all their answers, each batch at once: what comes after it
    may take long, or be the end of this process."""
    for reply in scorer.replies(wire.receive(sock, _requests)):
        for frame in wire.frames(reply, most, _too_long):
            sock.sendall(frame)


def _too_long(answer: wire.Answer) -> wire.Answer:
    message = (
        f"The answer has {len(answer.body)} bytes, more than this server takes from a model "
        "(SERVING_ANSWER_LIMIT): ask for fewer rows at one time."
    )
    return wire.Answer(answer.number, 400, error_body("BAD_REQUEST", message))


def answer_side_by_side(sock: socket.socket, scorer: Scorer, most: int) -> None:
    """Read frames, and answer their requests in threads, each as soon as it is done. Streams can be
    steered meanwhile. Raises wire.PeerClosedError."""
    sending = threading.Lock()

    def send(reply: wire.Reply) -> None:
        with sending, contextlib.suppress(OSError):  # reading tells that the other side has gone
            for frame in wire.frames(reply, most, _too_long):
                sock.sendall(frame)

    def answer(request: wire.Request) -> None:
        try:
            for reply in scorer.replies([request]):
                send(reply)
                if any(one.more and len(one.body) > most for one in reply.answers):
                    break  # its end, in the place of this part
        except BaseException as error:  # else the thread's end would leave the client waiting
            trace = "".join([*traceback.format_tb(error.__traceback__), type(error).__name__])
            extra = {"request_id": request.request_id, "trace": trace}
            log.error("prediction failed", extra=extra)
            body = error_body("INTERNAL_ERROR", UNEXPECTED.format(request.request_id))
            send(wire.Reply([wire.Answer(request.number, 500, body)]))

    threads = ThreadPoolExecutor(scorer.threads, thread_name_prefix="request")
    try:
        while True:
            message = wire.receive(sock, _messages)
            if isinstance(message, wire.Steer):
                if scorer.streams is not None:
                    scorer.streams.steer(message)
                continue
            for request in message:
                # With what loading set, as MLflow's server has it: the precision of decimals, say.
                threads.submit(contextvars.copy_context().run, answer, request)
    finally:
        if scorer.streams is not None:
            scorer.streams.cancel_all()  # generators come to their end while there is time
        threads.shutdown(wait=False, cancel_futures=True)
