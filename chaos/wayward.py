"""A model from code that misbehaves in the way that a request names."""

import contextlib
import ctypes
import os
import tempfile
import time

import mlflow

PIECE = 16 * 2**20  # bytes of memory or disk taken at a time
MOST = 4 * 2**30  # bytes of memory after which a leak gives up: nothing limited it


class Wayward(mlflow.pyfunc.PythonModel):
    """`act` of each row: answer, wait, hang, leak, fork, exit, segfault or fill."""

    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return [getattr(self, f"_{act}")() for act in model_input["act"]]

    def _answer(self):
        return "well"

    def _wait(self):
        time.sleep(3)
        return "waited"

    def _hang(self):
        time.sleep(3600)

    def _leak(self):
        kept = []
        while len(kept) * PIECE < MOST:
            kept.append(bytearray(os.urandom(1)) * PIECE)
            time.sleep(0.01)
        return "without limit"

    def _fork(self):
        """Fork until no more processes can be had, and then on; the children do nothing."""
        while True:
            try:
                if not os.fork():
                    time.sleep(3600)
            except OSError:
                time.sleep(0.1)

    def _exit(self):
        os._exit(3)

    def _segfault(self):
        ctypes.string_at(0)

    def _fill(self):
        """Fill the temporary folder until nothing more fits, and leave it so."""
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(delete=False) as file:
            while True:
                file.write(bytes(PIECE))
                file.flush()
        return "full"


mlflow.models.set_model(Wayward())
