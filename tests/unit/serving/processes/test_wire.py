"""Frames arrive whole, in whatever pieces, or not at all."""

import asyncio
import socket
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.processes import wire

REQUESTS = msgspec.msgpack.Decoder(list[wire.Request])
ANSWERS = msgspec.msgpack.Decoder(list[wire.Answer])

requests = st.lists(
    st.builds(
        wire.Request,
        number=st.integers(0, 2**63),
        request_id=st.text(max_size=20),
        content_type=st.none() | st.text(max_size=20),
        body=st.binary(max_size=300),
        deadline=st.floats(0, 1e9),
    ),
    max_size=5,
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@given(requests, st.integers(1, 50))
def test_any_frame_survives_any_cutting(sent, piece):
    frame = bytes(wire.pack(sent))
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def dribble():
            for start in range(0, len(frame), piece):
                ours.sendall(frame[start : start + piece])

        sender = threading.Thread(target=dribble)
        sender.start()
        assert wire.receive(theirs, REQUESTS) == sent
        sender.join()


class Transport(asyncio.Transport):
    closed = False

    def close(self) -> None:
        self.closed = True


def channel() -> tuple[wire.Channel, Transport]:
    made, transport = wire.Channel(), Transport()
    made.connection_made(transport)
    return made, transport


@given(requests, requests, st.integers(1, 50))
def test_reading_without_blocking_gives_the_same(first, second, piece):
    async def read():
        ours, _ = channel()
        frames = bytes(wire.pack(first) + wire.pack(second))
        for start in range(0, len(frames), piece):
            ours.data_received(frames[start : start + piece])
        return [await ours.receive(REQUESTS), await ours.receive(REQUESTS)]

    assert asyncio.run(read()) == [first, second]


@given(requests, st.integers(1, 50))
def test_payloads_are_delivered_once_somebody_takes_them(sent, piece):
    async def read():
        ours, _ = channel()
        taken = []
        ours.deliver = taken.append
        frame = bytes(wire.pack(sent))
        for start in range(0, len(frame), piece):
            ours.data_received(frame[start : start + piece])
        return [REQUESTS.decode(payload) for payload in taken]

    assert asyncio.run(read()) == [sent]


def test_frames_follow_each_other(pair):
    ours, theirs = pair
    first = [wire.Answer(1, 200, b"a")]
    second = [wire.Answer(2, 400, b""), wire.Answer(3, 200, b"c" * 70_000)]
    ours.sendall(wire.pack(first) + wire.pack(second))
    assert wire.receive(theirs, ANSWERS) == first
    assert wire.receive(theirs, ANSWERS) == second


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 5, -1])
def test_peer_that_closes_in_the_middle_is_noticed(pair, kept):
    ours, theirs = pair
    frame = wire.pack([wire.Answer(1, 200, b"body")])
    ours.sendall(frame[:kept])
    ours.close()
    with pytest.raises(wire.PeerClosedError):
        wire.receive(theirs, ANSWERS)


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 5, -1])
def test_and_without_blocking_too(kept):
    frame = wire.pack([wire.Answer(1, 200, b"body")])

    async def read():
        ours, _ = channel()
        ours.data_received(frame[:kept])
        ours.connection_lost(None)
        await ours.receive(ANSWERS)

    with pytest.raises(wire.PeerClosedError):
        asyncio.run(read())


def test_absurd_length_is_refused_before_memory_is_taken(pair):
    ours, theirs = pair
    ours.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(ValueError, match="4294967295 bytes"):
        wire.receive(theirs, ANSWERS)


def test_absurd_length_ends_the_connection():
    async def read():
        ours, transport = channel()
        ours.data_received(b"\xff\xff\xff\xff")
        return transport.closed

    assert asyncio.run(read())


def refuse(answer: wire.Answer) -> wire.Answer:
    return wire.Answer(answer.number, 400, b"too long")


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(20, 400))
def test_a_reply_goes_up_in_frames_that_are_taken(bodies, most):
    answers = [wire.Answer(number, 200, body) for number, body in enumerate(bodies)]
    batches = [wire.Batch(len(bodies), len(bodies), 0.1, 0.2, 0.3)]
    frames = list(wire.frames(wire.Reply(answers, batches), most, refuse))
    received: list[wire.Reply] = []
    decoder = msgspec.msgpack.Decoder(wire.Reply)
    taking, transport = channel()
    taking.most = most
    taking.deliver = lambda payload: received.append(decoder.decode(payload))
    for frame in frames:
        taking.data_received(bytes(frame))
    assert not transport.closed
    expected = [refuse(one) if len(one.body) > most else one for one in answers]
    arrived = [answer for reply in received for answer in reply.answers]
    assert arrived == (answers if len(frames) == 1 else expected)
    assert [batch for reply in received for batch in reply.batches] == batches


def test_many_answers_are_several_frames_since_no_more_are_taken_in_one():
    answers = [wire.Answer(number, 200, b"") for number in range(wire.MOST_ANSWERS + 1)]
    assert len(list(wire.frames(wire.Reply(answers), 2**30, refuse))) == len(answers)
    whole = wire.pack(wire.Reply(answers))
    with pytest.raises(msgspec.ValidationError, match="length"):
        msgspec.msgpack.Decoder(wire.Reply).decode(bytes(whole)[4:])


def test_a_frame_larger_than_expected_closes_the_channel_before_it_is_held():
    taking, transport = channel()
    taking.most = 1000
    taking.data_received((1000 + wire.AROUND + 1).to_bytes(4, "big"))
    assert transport.closed


def test_what_nobody_has_asked_for_is_not_held_without_end():
    taking, transport = channel()
    taking.most = 10_000
    many = bytes(wire.pack(wire.Reply([]))) * (wire.MOST_WAITING + 2)
    taking.data_received(many)
    assert transport.closed
    taking, transport = channel()
    taking.most = 10_000
    frame = bytes(wire.pack(b"x" * 9_000))
    for _ in range(10):
        taking.data_received(frame)
    assert transport.closed


def test_what_comes_after_the_end_of_a_channel_is_not_looked_at():
    taking, _ = channel()
    taken = []

    def take(payload: bytes) -> None:
        taken.append(payload)
        taking.close()

    taking.deliver = take
    taking.data_received(bytes(wire.pack(1)) * 100)
    assert len(taken) == 1


def test_a_greeting_is_looked_at_before_it_is_read():
    """A list of empty mappings takes seventy times its bytes."""
    about = wire.Description(inputs=[{}] * (wire.OF_GREETING + 1))
    with pytest.raises(msgspec.DecodeError, match="more than"):
        wire.Greetings().decode(bytes(wire.pack(wire.Loaded(description=about)))[4:])
    large = wire.Loaded(example=b"x" * (wire.OF_GREETING + 1), warnings=["a"])
    assert wire.Greetings().decode(bytes(wire.pack(large))[4:]) == large
