"""What children write is read through a pipe each, whose end is closed once."""

import os
import threading

import uvloop

from model_server.processes import process

CHILDREN, AT_ONCE = 5000, 10


def test_another_threads_files_stay_open_as_children_end():
    """The loop closes the pipe's descriptor; a second time, and it may be of another's file."""
    lost = []
    over = threading.Event()

    def use_files():
        while not over.is_set():
            descriptor = os.open(os.devnull, os.O_RDONLY)
            try:
                os.fstat(descriptor)
                os.close(descriptor)
            except OSError:
                lost.append(descriptor)

    async def start_and_end():
        for _ in range(CHILDREN // AT_ONCE):
            for written in [await process._output("child", {}) for _ in range(AT_ONCE)]:
                written.close()

    threads = [threading.Thread(target=use_files) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        uvloop.run(start_and_end())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert lost == []
