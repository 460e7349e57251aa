#!/usr/bin/env bash
# A pipe that a loop reads ends, and a file that another thread has just opened is closed.
#
# uvloop 0.23.0: `loop.connect_read_pipe` is given a pipe, as for a child's output, and the other end
# is closed. While the loop lets go of the pipe, another file is opened; here that is done in the
# pipe's own `close`, where a thread would need luck (one in a few thousand pipes is enough).
#
# Expected: the pipe is closed once, and the file stays open, as with asyncio's own loop.
# Seen:     uvloop lets libuv close the descriptor, then calls the pipe's `close`, which closes that
#           number again: by then it is the other file's.
#
#   asyncio: the other file is open
#   uvloop: the other file is closed

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvloop==0.23.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import io
import os
import sys

import uvloop

seen = {}


class Pipe(io.FileIO):
    def close(self):
        if self.closed:
            return
        other = os.open(os.devnull, os.O_RDONLY)
        super().close()
        try:
            os.fstat(other)
            seen["the other file"] = "open"
            os.close(other)
        except OSError:
            seen["the other file"] = "closed"


async def read_to_the_end():
    read, written = os.pipe()
    pipe = Pipe(read, "rb")
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, pipe)
    os.close(written)
    while not seen:
        await asyncio.sleep(0.01)
    return seen.pop("the other file")


found = {}
for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
    found[name] = run(read_to_the_end())
    print(f"{name}: the other file is {found[name]}")
sys.exit(found != {"asyncio": "open", "uvloop": "closed"})
PYTHON
