"""A model from code that does what a request tells it, and fails where its config says."""

import contextvars
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_EXHAUSTED

LOADED = contextvars.ContextVar("LOADED", default=False)


class Panic(BaseException):
    """A Rust library's panic, by way of PyO3."""


class UnspeakableError(Exception):
    """Its own words end the process that asks for them."""

    def __str__(self) -> str:
        raise SystemExit


class Chameleon(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.config = context.model_config or {}
        LOADED.set(True)
        if self.config.get("fails") == "load":
            raise RuntimeError(f"weights are missing in {__file__}")
        if self.config.get("fails") == "load-crash":
            os._exit(7)
        if self.config.get("fails") == "load-hang":
            time.sleep(3600)

    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002
        if self.config.get("fails") == "warm-up":
            raise RuntimeError("a bug")
        if self.config.get("fails") == "warm-up-crash" and list(model_input["act"]) == ["answer"]:
            os._exit(7)
        if (needed := self.config.get("needs")) and not Path(needed).exists():
            raise ConnectionError("the feature store is away")
        return [self._act(act) for act in model_input["act"]]

    def _act(self, act):
        match act:
            case "answer":
                return self.config["answer"]
            case "process":
                return os.getpid()
            case "environment":
                return dict(os.environ)
            case "crash":
                os._exit(3)
            case "segfault":
                ctypes.string_at(0)
            case "leak":
                self.kept = [*getattr(self, "kept", ()), bytearray(os.urandom(1)) * (100 * 2**20)]
                return len(self.kept)
            case "fork":
                subprocess.Popen(["sleep", "600"])
            case "hang":
                time.sleep(3600)
            case "slow":
                time.sleep(1)
                return "slow"
            case "panic":
                raise Panic("the matrix is not square")
            case "unspeakable":
                raise UnspeakableError
            case "exit":
                raise SystemExit("enough")
            case "interrupt":
                raise KeyboardInterrupt
            case "signal":
                os.kill(os.getpid(), signal.SIGINT)
            case "context":
                return LOADED.get()
            case "raise":
                raise ValueError("secret of /srv/models/weights.bin")
            case "raise-mlflow":
                raise MlflowException("not this", error_code=INVALID_PARAMETER_VALUE)
            case "raise-exhausted":
                raise MlflowException("later", error_code=RESOURCE_EXHAUSTED)
            case "nan":
                return float("nan")
            case "unwritable":
                return object()
        return act


mlflow.models.set_model(Chameleon())
