"""The model server's own HTTP front without a model: it answers each request with a constant.

python front.py PORT
"""

import asyncio
import socket
import sys

import uvloop

from model_server.front.exchange import Exchange
from model_server.front.http1 import Limits
from model_server.front.listener import Listener

LIMITS = Limits(2**24, 2**28, 4096, 10.0, 30.0)
HEAD = b"content-type: application/json\r\n"
ANSWER = b'{"predictions": [0]}'


def admit_body(_: Exchange) -> None:
    pass


def handle(exchange: Exchange) -> None:
    exchange.answer(200, HEAD, ANSWER)


async def serve(port: int) -> None:
    front = Listener(LIMITS, admit_body, handle)
    await front.start(socket.create_server(("127.0.0.1", port), backlog=2048))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
