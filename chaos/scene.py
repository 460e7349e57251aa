"""What a fault happens to: a running stack, the models it serves, and who notes what was seen."""

from __future__ import annotations

import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.dummy import DummyRegressor

from harness.registry import Shelf
from harness.stack import Stack, docker
from harness.waiting import wait_until

STEADY = "chaos-steady"
WAYWARD = "chaos-wayward"
LIMITED = "chaos-limited"  # the same code, with a memory limit of its own
LIMIT = 400  # MiB
STEADY_REQUEST = {"inputs": [[1.0]]}
STEADY_ANSWER = {"predictions": [7.0]}
SERVED_SECONDS = 60


class Quick(Stack):
    """A stack in which a model that hangs, and a container that is full, are told soon."""

    def environment(self, **settings: str) -> dict[str, str]:
        return super().environment(SERVING_TIMEOUT="10", SERVING_MEMORY="1g", **settings)


def acts(*those: str) -> dict:
    """A request that tells a wayward model what to do, a row an act."""
    return {"dataframe_split": {"columns": ["act"], "data": [[act] for act in those]}}


@dataclass(frozen=True)
class Storm:
    """Kills at random: for how long, and until how much is acknowledged."""

    seconds: float = 30
    metrics: int = 10_000
    artifacts: int = 20
    seed: int = 0


@dataclass
class Scene:
    """notes: what else was seen, for the table. problems: what ought not to have been.
    token: the header that serving asks for, if any."""

    stack: Stack
    storm: Storm = Storm()
    say: Callable[[str], None] = print
    counts: Callable[[], dict[str, int]] = dict
    """What has been acknowledged so far, by kind."""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    token: dict[str, str] = field(default_factory=dict)

    def name(self, service: str) -> str:
        """The container's own."""
        return f"{self.stack.project}-{service}-1"

    def docker(self, *arguments: str) -> str:
        return docker(*arguments).stdout

    def check(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)

    def comes(self, condition: Callable[[], object], seconds: float, what: str) -> float | None:
        """Seconds until a condition holds; None, and a problem, where it does not in time."""
        began = time.monotonic()
        try:
            wait_until(condition, seconds, what)
        except AssertionError as error:
            self.problems.append(str(error))
            return None
        return time.monotonic() - began

    def is_steady(self) -> bool:
        """Whether the model that behaves answers, and well."""
        answer = self._post(STEADY, STEADY_REQUEST, timeout=10)
        return answer.status_code == 200 and answer.json() == STEADY_ANSWER

    def ask(self, model: str, act: str, timeout: float = 90) -> httpx.Response:
        """What a wayward model answers to one act."""
        return self._post(model, acts(act), timeout)

    def _post(self, model: str, request: dict, timeout: float) -> httpx.Response:
        return httpx.post(self.address(model), json=request, headers=self.token, timeout=timeout)

    def address(self, model: str) -> str:
        return f"{self.stack.serving}/models/{model}/invocations"


class Background(threading.Thread):
    """A call that goes on while something else happens; `result` waits for it."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: object = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except Exception as error:
            self._result = error

    def result(self, timeout: float = 120) -> object:
        """What the call returned, or the exception that it raised; None while it goes on."""
        self.join(timeout)
        return self._result


def publish_models(scene: Scene) -> None:
    """A model that behaves, and two that do as they are told; returns when all are served."""
    stack = scene.stack
    shelf = Shelf(stack.tracking)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow tells the authors of models
        steady, wayward = Path(folder, "steady"), Path(folder, "wayward")
        mlflow.sklearn.save_model(
            DummyRegressor(strategy="constant", constant=7.0).fit([[0.0]], [7.0]),
            steady,
            pip_requirements=["scikit-learn"],
        )
        mlflow.pyfunc.save_model(
            wayward,
            python_model=str(Path(__file__).with_name("wayward.py")),
            signature=ModelSignature(inputs=Schema([ColSpec("string", "act")])),
            input_example=pd.DataFrame({"act": ["answer"]}),
            pip_requirements=["pandas"],
        )
        for name, source in ((STEADY, steady), (WAYWARD, wayward), (LIMITED, wayward)):
            version = shelf.publish(name, source)
            if name == LIMITED:
                client = MlflowClient(stack.tracking, stack.tracking)
                client.set_model_version_tag(name, version, "serving.memory", str(LIMIT))
            shelf.promote(name, version)

    def served() -> bool:
        return scene.is_steady() and all(
            scene.ask(model, "answer", timeout=10).status_code == 200
            for model in (WAYWARD, LIMITED)
        )

    wait_until(served, SERVED_SECONDS, f"the models are served, see {stack.serving}/models")
