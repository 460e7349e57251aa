"""Frames between the HTTP process and a worker: four bytes of length, then msgpack.

Down goes one frame with every request that waited when the worker became free. Up come one or
more frames, each with the answers that are ready; an answer names its request by number. One that
is streamed comes in parts, the last without `more`, and while it does, a `Steer` may go down.
The first frame a worker sends says whether it could load its model.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol, TypeVar

import msgspec

MAX_FRAME = 2**31
"""Bytes; a longer announcement can only be garbage."""
OF_CHILDREN = 16 * 2**20
"""Bytes that a frame from a child may have, unless more is expected of it: a model in it may write
what it likes, and all of a frame is held before it is read."""
AROUND = 65536
"""Bytes of a frame beside its largest body."""
MOST_ANSWERS = 4096
"""Answers in one frame."""
MOST_WAITING = 1024
"""Frames that have come before anybody asked for them."""
OF_GREETING = 4 * 2**20
"""Bytes of a greeting beside its example: read, they take some seventy times as much memory."""
MOST_DESCRIPTORS = 8
"""That come with one message."""


MLFLOW = "mlflow"
V2 = "v2"
"""Protocols that a request's body and its answer can be in."""


WARM_UP = -1
"""The number of the request that is the model's own input example; those of clients are above 0."""


class PeerClosedError(EOFError):
    """The other side closed the socket; `received` of `wanted` bytes had come."""

    def __init__(self, received: int, wanted: int) -> None:
        super().__init__(f"peer closed after {received} of {wanted} bytes")


class Request(msgspec.Struct, array_like=True):
    """What a model is asked."""

    number: int
    """What its answer is known by, counted by the version."""
    request_id: str
    content_type: str | None
    body: bytes
    deadline: float
    """When nobody waits for it any more, by time.monotonic(), which processes of one machine
    share. The version sets it."""
    protocol: str = MLFLOW
    trace: str | None = None
    """The W3C trace id that the request came with, for the worker's log lines."""


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What one request gets."""

    number: int
    status: int
    """200, or an error's: of others, HTTP knows answers that have no body."""
    body: bytes
    more: bool = False
    """Whether this is a part, of a stream, and others follow. The last one's status is the one
    that the answer would have had if it had come in one piece."""


CANCEL, PAUSE, RESUME = "cancel", "pause", "resume"


class Steer(msgspec.Struct, frozen=True):
    """What is to become of an answer that is streamed: nobody waits for it any more, or its client
    reads more slowly than it is written. Goes down where else a list of requests does."""

    number: int
    how: str


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """What one prediction took in, and the seconds of its stages."""

    requests: int
    rows: int
    """0 when unknown: the request took MLflow's own path."""
    read: float
    predict: float
    write: float


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """Answers that are ready, and the predictions behind them."""

    answers: Annotated[list[Answer], msgspec.Meta(max_length=MOST_ANSWERS)]
    batches: Annotated[list[Batch], msgspec.Meta(max_length=MOST_ANSWERS)] = []


class Description(msgspec.Struct, frozen=True):
    """What a loaded model is, for /models, /openapi.json and /v2/models/{name}."""

    flavor: str = ""
    """The flavor that it is loaded with: sklearn, onnx, python_function..."""
    inputs: list[dict[str, Any]] | None = None
    """The signature's, as `Schema.to_dict()` writes it; None without a signature."""
    outputs: list[dict[str, Any]] | None = None
    params: list[dict[str, Any]] | None = None
    engine: str = "model"
    """What predicts: the model as it is, or the name of the fast path's engine."""
    engine_reason: str | None = None
    """Why the model as it is."""
    streaming: bool = False
    """Whether a request may ask for events in place of one answer."""
    batching: bool = False
    batching_reason: str | None = None
    """Why requests are not merged."""
    threads: int = 1
    """Requests that a worker answers at one time, where they are not merged."""


def output_names(schema: list[dict[str, Any]] | None) -> list[str]:
    """Names of a signature's outputs, as `Schema.to_dict()` writes it, in the Open Inference
    Protocol: what the metadata promises, and answers keep. Without names, one is "predict", as
    MLServer's scikit-learn runtime has it, and several are counted."""
    schema = schema or []
    unnamed = "predict" if len(schema) == 1 else "{}"
    return [name_of(spec, unnamed.format(at)) for at, spec in enumerate(schema)]


def name_of(spec: dict[str, Any], default: str) -> str:
    """The name as text: the columns of a frame that was made of an array are numbers, from 0."""
    name = spec.get("name")
    return default if name in (None, "") else str(name)


class Loaded(msgspec.Struct, array_like=True, frozen=True):
    """A worker's greeting. Without `problem`, it is ready for requests."""

    problem: str | None = None
    example: bytes | None = None
    """The model's own input example as a request body, if it was logged with one."""
    warnings: list[str] = []
    description: Description = Description()
    uncompiled: list[str] = []
    """Modules of an environment of its own that were compiled for this worker alone: files."""


class _Example(msgspec.Struct, array_like=True, frozen=True):
    """The part of a greeting that may be large."""

    problem: str | None = None
    example: bytes | None = None


class Greetings:
    """A decoder of greetings, which looks at their size first."""

    _all = msgspec.msgpack.Decoder(Loaded)
    _example = msgspec.msgpack.Decoder(_Example)

    def decode(self, payload: bytes | bytearray, /) -> Loaded:
        """The greeting, unless it is too large. Raises msgspec.DecodeError."""
        example = self._example.decode(payload).example or b""
        if len(payload) - len(example) > OF_GREETING:
            raise msgspec.DecodeError(
                f"what it says of itself has more than {OF_GREETING:,} bytes: its signature, say"
            )
        return self._all.decode(payload)


def frames(reply: Reply, most: int, refuse: Callable[[Answer], Answer]) -> Iterator[bytearray]:
    """A reply as it goes up: in one frame, or in several where it is large. An answer whose body
    has more than `most` bytes becomes what `refuse` makes of it."""
    frame = pack(reply)
    if len(frame) <= most and len(reply.answers) <= MOST_ANSWERS:
        yield frame
        return
    for answer in reply.answers:
        yield pack(Reply([refuse(answer) if len(answer.body) > most else answer]))
    if reply.batches:
        yield pack(Reply([], reply.batches))


Message = TypeVar("Message")
Message_co = TypeVar("Message_co", covariant=True)


class Decoder(Protocol[Message_co]):
    """Reads one kind of message; those of msgspec do."""

    def decode(self, payload: bytes | bytearray, /) -> Message_co:
        """The message. Raises msgspec.DecodeError."""


_encoder = msgspec.msgpack.Encoder()


def pack(message: object) -> bytearray:
    """A message as a frame."""
    payload = bytearray(4)
    _encoder.encode_into(message, payload, 4)
    payload[:4] = (len(payload) - 4).to_bytes(4, "big")
    return payload


def receive(sock: socket.socket, decoder: Decoder[Message]) -> Message:
    """Next message. Raises PeerClosedError at the end, also in the middle of a frame."""
    return decoder.decode(_receive_exactly(sock, _length(_receive_exactly(sock, 4))))


def send_with(sock: socket.socket, message: object, descriptors: list[int]) -> None:
    """A message, and descriptors that its receiver gets copies of."""
    frame = pack(message)
    sent = socket.send_fds(sock, [frame], descriptors)
    sock.sendall(memoryview(frame)[sent:])


def receive_with(sock: socket.socket, decoder: Decoder[Message]) -> tuple[Message, list[int]]:
    """What `send_with` sent. Raises PeerClosedError at the end."""
    header, descriptors, _, _ = socket.recv_fds(sock, 4, MOST_DESCRIPTORS)
    header += bytes(_receive_exactly(sock, 4 - len(header)))
    return decoder.decode(_receive_exactly(sock, _length(header))), descriptors


class Channel(asyncio.Protocol):
    """The socket without blocking. Messages come in order, by `receive` or, once `deliver` is set,
    by that call for each payload, in the event loop's own turn: no task stands between."""

    def __init__(self) -> None:
        self.most = OF_CHILDREN
        """Bytes of a frame; at a longer one, the channel is closed."""
        self.deliver: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._payloads: deque[bytes] = deque()
        self._waiting = 0
        """Bytes of them."""
        self._changed = asyncio.Event()
        self._closed = False
        self._ends = False

    # typeshed does not know that a stream's transport is one that writes.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Wake who waits: there will be no more."""
        self._closed = True
        self._changed.set()

    def data_received(self, data: bytes) -> None:
        """Take every whole frame."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "big")
            if end - start > self.most + AROUND:
                self.close()  # the other side writes garbage: it is as good as gone
            if end > len(buffer) or self._ends:
                break
            self._take(bytes(memoryview(buffer)[start + 4 : end]))
            start = end
        del buffer[:start]

    def _take(self, payload: bytes) -> None:
        if self.deliver:
            self.deliver(payload)
            return
        self._payloads.append(payload)
        self._waiting += len(payload)
        self._changed.set()
        if len(self._payloads) > MOST_WAITING or self._waiting > self.most + AROUND:
            self.close()  # it was not asked for so much

    def send(self, message: object) -> None:
        """Send it; to a peer that is gone, nothing: `receive` and the process's end tell."""
        self._transport.write(pack(message))

    async def receive(self, decoder: Decoder[Message]) -> Message:
        """The next message. Raises PeerClosedError when there will be none, and what the decoder
        does."""
        while not self._payloads:
            if self._closed:
                raise PeerClosedError(len(self._buffer), 4)
            self._changed.clear()
            await self._changed.wait()
        payload = self._payloads.popleft()
        self._waiting -= len(payload)
        return decoder.decode(payload)

    def close(self) -> None:
        """Close it; what still comes is not looked at."""
        self._ends = True
        self._transport.close()


def _length(header: bytes | bytearray) -> int:
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME:
        raise ValueError(f"a frame of {length} bytes was announced; the limit is {MAX_FRAME}")
    return length


def _receive_exactly(sock: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    received = 0
    while received < count:
        step = sock.recv_into(view[received:])
        if step == 0:
            raise PeerClosedError(received, count)
        received += step
    return data
