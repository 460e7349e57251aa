"""Every server that is compared: how it starts, how it is asked, how it answers."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.load import Request
from benchmarks.options import Options
from benchmarks.serving import environments
from benchmarks.serving.cases import MODELS, Case
from benchmarks.storage import MLFLOW
from harness.ports import free_port

MOST = 64  # requests that a peer merges
WAIT_SECONDS = 0.001  # MLServer's wait for more of them; 0.1 in its documentation's example


class Server(ABC):
    """One that takes MLflow's protocol, unless a method says otherwise."""

    name: str
    path = "/invocations"
    models = True  # False: a front, whose answer means nothing
    everywhere = True  # False: it is measured only where the goals are
    environment: str | None = None  # where it runs, by name; None: this one

    @abstractmethod
    def command(self, case: Case, port: int) -> list[str]: ...

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:  # noqa: ARG002
        """Its environment variables, beside ours; `folder` is empty and its own."""
        return {}

    def body(self, case: Case, frame: pd.DataFrame) -> dict[str, Any]:  # noqa: ARG002
        """The rows in its protocol."""
        data = [[None if cell != cell else cell for cell in row] for row in frame.values.tolist()]
        return {"dataframe_split": {"columns": list(frame.columns), "data": data}}

    def answers(self, body: Any) -> list:
        """The predictions in an answer's parsed body."""
        return body["predictions"]

    def request(self, case: Case, rows: int) -> Request:
        body = json.dumps(self.body(case, case.frame.head(rows)), allow_nan=False)
        return Request("POST", self.path, body.encode())


class Ours(Server):
    def __init__(self, name: str = "ours", **settings: str) -> None:
        self.name, self._settings = name, settings

    def command(self, case: Case, port: int) -> list[str]:
        model = f"{case.name}={case.mlflow}"
        return [sys.executable, "-m", "model_server", "--port", str(port), "--models", model]

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:
        own = {"SERVING_CACHE": str(folder / "cache"), **self._settings}
        # Only the text model's author knows that its rows are independent.
        return own | ({"SERVING_BATCH": "on"} if case.kind == "texts" else {})


class Before(Ours):
    """Ours as it is in an earlier checkout, on the packages of this one."""

    def __init__(self, checkout: str) -> None:
        super().__init__(BEFORE)
        self._code = Path(checkout).absolute() / "services" / "serving"

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:
        return {**super().variables(case, folder), "PYTHONPATH": str(self._code)}


class Reference(Server):
    """Its defaults: one worker."""

    name = "mlflow models serve"
    workers = 1

    def command(self, case: Case, port: int) -> list[str]:
        command = [str(MLFLOW), "models", "serve", "--env-manager", "local"]
        command += ["--workers", str(self.workers)]
        return [*command, "--port", str(port), "--model-uri", str(case.mlflow)]


class WideReference(Reference):
    """A worker for each of two cores."""

    name = "mlflow models serve --workers 2"
    workers = 2
    everywhere = False


class Bare(Server):
    """uvicorn with the fastest parts that it takes, in front of nothing."""

    name = "bare uvicorn"
    models = everywhere = False

    def command(self, case: Case, port: int) -> list[str]:  # noqa: ARG002
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(environments.FOLDER / "bare")]
        command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        return [*command, "--port", str(port), "asgi:app"]


class BareFront(Server):
    """Our own front, in front of nothing."""

    name = "bare front"
    models = everywhere = False

    def command(self, case: Case, port: int) -> list[str]:  # noqa: ARG002
        return [sys.executable, str(environments.FOLDER / "bare" / "front.py"), str(port)]


class Peer(Server):
    """One with an environment of its own."""

    def program(self, name: str) -> str:
        return str(environments.FOLDER / self.name / ".venv" / "bin" / name)

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:  # noqa: ARG002
        path = f"{MODELS}:{environments.FOLDER / self.name}"
        return {"PYTHONPATH": path, "BENCHMARK_ESTIMATOR": str(case.estimator)}


class MLServer(Peer):
    """Predicts in its HTTP process: on two cores, worker processes make nothing faster."""

    name = environment = "mlserver"
    path = "/v2/models/model/infer"

    def command(self, case: Case, port: int) -> list[str]:
        texts = case.kind == "texts"
        runtime = "text_runtime.TextModel" if texts else "mlserver_sklearn.SKLearnModel"
        model = {
            "name": "model",
            "implementation": runtime,
            "parameters": {"uri": str(case.estimator / "model.joblib")},
            "max_batch_size": MOST,
            "max_batch_time": WAIT_SECONDS,
        }
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"debug": False, "host": "127.0.0.1", "parallel_workers": 0, **ports}
        folder = case.folder / f"mlserver-{port}"
        folder.mkdir()
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "model-settings.json").write_text(json.dumps(model))
        return [self.program("mlserver"), "start", str(folder)]

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:
        return {**super().variables(case, folder), "MLSERVER_METRICS_DIR": str(folder / "metrics")}

    def body(self, case: Case, frame: pd.DataFrame) -> dict[str, Any]:
        if case.kind == "numbers":
            data = [cell for row in frame.to_numpy().tolist() for cell in row]
            return {"inputs": [tensor("rows", "FP64", list(frame.shape), data)]}
        columns = super().body(case, frame)["dataframe_split"]
        inputs = []
        for name, cells in zip(columns["columns"], zip(*columns["data"], strict=True), strict=True):
            words = isinstance(cells[0], str)
            one = tensor(name, "BYTES" if words else "FP64", [len(cells), 1], list(cells))
            inputs.append(one | ({"parameters": {"content_type": "str"}} if words else {}))
        if case.kind == "texts":
            return {"inputs": inputs}
        return {"inputs": inputs, "parameters": {"content_type": "pd"}}

    def answers(self, body: Any) -> list:
        return body["outputs"][0]["data"]


def tensor(name: str, datatype: str, shape: list[int], data: list) -> dict[str, Any]:
    """A tensor of the Open Inference Protocol V2."""
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


class BentoML(Peer):
    name = environment = "bentoml"
    path = "/predict"

    def command(self, case: Case, port: int) -> list[str]:  # noqa: ARG002
        command = [self.program("bentoml"), "serve", "service:Model"]
        command += ["--working-dir", str(environments.FOLDER / self.name)]
        return [*command, "--host", "127.0.0.1", "--port", str(port)]

    def variables(self, case: Case, folder: Path) -> Mapping[str, str]:
        own = {"BENTOML_HOME": str(folder / "home"), "BENTOML_DO_NOT_TRACK": "True"}
        return {**super().variables(case, folder), **own}

    def body(self, case: Case, frame: pd.DataFrame) -> dict[str, Any]:
        data = super().body(case, frame)["dataframe_split"]["data"]
        if case.kind == "texts":
            return {"rows": [text for (text,) in data]}
        return {"rows": data}

    def answers(self, body: Any) -> list:
        return body


class Mosec(Peer):
    name = environment = "mosec"
    path = "/inference"

    def command(self, case: Case, port: int) -> list[str]:  # noqa: ARG002
        command = [self.program("python"), str(environments.FOLDER / self.name / "service.py")]
        return [*command, "--address", "127.0.0.1", "--port", str(port), "--timeout", "60000"]


OURS, PLAIN, REFERENCE = "ours", "ours without fast path", Reference.name
BEFORE = "ours before"
PEERS = {"mlserver": 5.0, "bentoml": 5.0, "mosec": 1.5}
"""The other servers, and how many times as fast as each ours has to be."""
FRONTS = (BareFront.name, Bare.name)
SERVERS: tuple[Server, ...] = (
    Ours(OURS),
    Ours(PLAIN, SERVING_FAST="false"),
    Reference(),
    WideReference(),
    MLServer(),
    BentoML(),
    Mosec(),
    BareFront(),
    Bare(),
)


def known(options: Options) -> list[Server]:
    """All servers that can be asked for, in the order of the tables."""
    first, *others = SERVERS
    return [first, *([Before(options.before)] if options.before else []), *others]
