"""What children of the tests do: the first argument says which."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from model_server.processes import wire


def main(sock, act: str, *arguments: object) -> None:
    answer = globals()[f"_{act}"](*arguments)
    if act in ("leave", "fail", "exit", "abort"):
        return
    sock.sendall(wire.pack(answer))
    wire.receive(sock, wire.msgspec.msgpack.Decoder())


def _leave() -> None:
    pass


def _fail() -> None:
    raise ValueError("as it was told to")


def _exit() -> None:
    sys.exit(7)


def _abort() -> None:
    signal.raise_signal(signal.SIGABRT)


def _wait() -> None:
    pass


def _descriptors() -> dict[str, str]:
    links = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists
            links[link.name] = str(link.readlink())
    return {name: where for name, where in links.items() if not where.endswith("/fd")}


def _read_input() -> str:
    return sys.stdin.read()


def _start_another() -> int:
    return subprocess.Popen(["sleep", "600"]).pid


def _start_apart() -> list[int]:
    """Processes that have left the group, the session, and whoever started them."""
    code = (
        "import os, sys, time\n"
        "if os.fork(): os._exit(0)\n"
        "os.setsid()\n"
        "os.fork(), os.fork()\n"
        "os.write(1, b'%d\\n' % os.getpid())\n"
        "os.close(1)\n"
        "time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return [int(line) for line in done.stdout.split()]


def _four() -> int:
    return 4


def _spawn_another() -> int:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        return pool.submit(_four).result()


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _flood(count: int) -> None:
    for number in range(count):
        sys.stderr.write(f"{number}\n")
    sys.stderr.flush()
    time.sleep(1.5)


def _flood_for_ever() -> None:
    while True:
        os.write(1, b"\n" * 65536)
