"""Clients of every kind, each in a thread, that note how each of their calls went.

`log`, `store` and `predict` speak HTTP over kept connections, never try again, and give up after
some seconds: they show what the stack answers. `mlflow` is MLflow's own client with its defaults,
which tries again by itself: it shows what a training script notices.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType

import httpx
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from chaos.ledger import ARTIFACTS, Ledger
from chaos.retries import Retries
from chaos.scene import STEADY, STEADY_ANSWER, STEADY_REQUEST, Scene
from chaos.summary import OK, WRONG, Attempt
from harness.waiting import wait_until

LOG, STORE, PREDICT, MLFLOW = "log", "store", "predict", "mlflow"
CLIENTS = {LOG: 3, STORE: 2, PREDICT: 2, MLFLOW: 2}
PACE = 0.1  # seconds from an answer to the next request
PATIENCE = 10  # seconds until a client gives up
CALM = 2.0  # seconds without a failure after which all is well
KEYS = 10  # metrics of one step
BATCHES = 5  # of one run of MLflow's client
ARTIFACT = 64 * 1024  # bytes
CREATE_RUN = "/api/2.0/mlflow/runs/create"
LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
REGISTERED = "chaos-registered"
EXPERIMENT = "chaos"
STOP_SECONDS = 300  # MLflow's client tries for as long
NOTED = (MlflowException, httpx.HTTPError, requests.RequestException)  # what a call may raise

Outcome = tuple[str, str]  # with the words that came with it


def steps(first: int, count: int) -> list[Metric]:
    """Metrics of some steps, each with another value."""
    now = int(time.time() * 1000)
    return [
        Metric(f"m{key}", (step * KEYS + key) / 7, now, step)
        for step in range(first, first + count)
        for key in range(KEYS)
    ]


class Load:
    """Keeps all clients busy: `with Load(scene, ledger) as load:`.

    batch: metrics in one call of MLflow's client.
    """

    def __init__(self, scene: Scene, ledger: Ledger, batch: int = 200) -> None:
        self._scene, self._ledger = scene, ledger
        self._batch = batch
        self._attempts: dict[str, list[Attempt]] = defaultdict(list)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._retries = Retries()

    def attempts(self, kind: str) -> list[Attempt]:
        return list(self._attempts[kind])

    def wait_until_calm(self, timeout: float) -> None:
        """Wait until every kind of client that speaks HTTP has had only successes for a while,
        which begins now. Raises AssertionError."""
        called = time.monotonic()

        def is_calm() -> bool:
            since = time.monotonic() - CALM
            return since > called and all(
                map(partial(self._is_served, since), (LOG, STORE, PREDICT))
            )

        wait_until(is_calm, timeout, "all clients are served without a failure")

    def _is_served(self, since: float, kind: str) -> bool:
        recent = [a.outcome for a in self.attempts(kind) if a.ended > since]
        return OK in recent and len(set(recent)) == 1

    def __enter__(self) -> Load:
        stack = self._scene.stack
        experiment = _experiment(stack.tracking)
        turns: dict[str, Callable[[], Iterator[Outcome]]] = {
            LOG: partial(self._log, experiment),
            STORE: self._store,
            PREDICT: self._predict,
        }
        work = {kind: partial(self._keep_asking, kind, turn) for kind, turn in turns.items()}
        work[MLFLOW] = partial(self._train, experiment)
        self._threads = [
            threading.Thread(target=self._work, args=(work[kind],), name=f"{kind}{number}")
            for kind, count in CLIENTS.items()
            for number in range(count)
        ]
        self._retries.install()
        for thread in self._threads:
            thread.daemon = True
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._over.set()
        if kind is None:
            deadline = time.monotonic() + STOP_SECONDS
            for thread in self._threads:
                thread.join(max(0, deadline - time.monotonic()))
            stuck = [thread.name for thread in self._threads if thread.is_alive()]
            if stuck:
                waited = f"still in one call {STOP_SECONDS} s after the end"
                self._scene.problems.append(f"{waited}: {', '.join(stuck)}")
        self._retries.remove()

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._scene.problems.append(f"{threading.current_thread().name} ended: {error!r}")

    def _keep_asking(self, kind: str, turn: Callable[[], Iterator[Outcome]]) -> None:
        turns = turn()
        while not self._over.wait(PACE):
            began = time.monotonic()
            outcome, detail = next(turns)
            ended = time.monotonic()
            self._attempts[kind].append(Attempt(began, ended, outcome, detail=detail))

    def _log(self, experiment: str) -> Iterator[Outcome]:
        """Two steps a call, in a run of its own."""
        with httpx.Client(base_url=self._scene.stack.tracking, timeout=PATIENCE) as http:
            run_id = yield from self._create_run(http, experiment)
            for step in itertools.count(0, 2):
                metrics = steps(step, 2)
                body = {"run_id": run_id, "metrics": [dict(metric) for metric in metrics]}
                outcome, detail = _outcome(partial(http.post, LOG_BATCH, json=body))
                if outcome == OK:
                    self._ledger.logged(run_id, metrics)
                yield outcome, detail

    def _create_run(self, http: httpx.Client, experiment: str) -> Generator[Outcome, None, str]:
        """Asks until there is one; its id."""
        created: list[str] = []

        def ask() -> httpx.Response:
            answer = http.post(CREATE_RUN, json={"experiment_id": experiment})
            if answer.status_code == 200:
                created.append(answer.json()["run"]["info"]["run_id"])
                self._ledger.created(created[0])
            return answer

        while not created:
            yield _outcome(ask)
        return created[0]

    def _store(self) -> Iterator[Outcome]:
        folder = f"chaos/{uuid.uuid4().hex}"
        with httpx.Client(base_url=self._scene.stack.tracking, timeout=PATIENCE) as http:
            for number in itertools.count():
                path, content = f"{folder}/{number}.bin", os.urandom(ARTIFACT)
                self._ledger.sending(path, content)
                outcome, detail = _outcome(
                    partial(http.put, f"{ARTIFACTS}/{path}", content=content)
                )
                if outcome == OK:
                    self._ledger.stored(path)
                yield outcome, detail

    def _predict(self) -> Iterator[Outcome]:
        address = self._scene.address(STEADY)
        with httpx.Client(headers=self._scene.token, timeout=PATIENCE) as http:
            while True:
                yield _outcome(partial(http.post, address, json=STEADY_REQUEST), STEADY_ANSWER)

    def _train(self, experiment: str) -> None:
        """Run after run: parameters, metrics, an artifact, a registered version, its alias."""
        alias = threading.current_thread().name
        client = MlflowClient(self._scene.stack.tracking, self._scene.stack.tracking)
        while not self._over.is_set():
            try:
                self._one_run(client, experiment, alias)
            except NOTED:
                self._over.wait(1)  # it is noted already; a script would have ended

    def _one_run(self, client: MlflowClient, experiment: str, alias: str) -> None:
        ledger, call = self._ledger, self._call
        info = call(lambda: client.create_run(experiment)).info
        run_id = info.run_id
        ledger.created(run_id)
        params = [Param(f"p{number}", str(number)) for number in range(KEYS)]
        call(lambda: client.log_batch(run_id, params=params))
        ledger.logged(run_id, params=params)
        for number in range(BATCHES):
            count = self._batch // KEYS
            metrics = steps(number * count, count)
            call(lambda metrics=metrics: client.log_batch(run_id, metrics=metrics))
            ledger.logged(run_id, metrics)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "weights.bin")
            file.write_bytes(os.urandom(ARTIFACT))
            path = f"{info.artifact_uri.removeprefix('mlflow-artifacts:/')}/{file.name}"
            ledger.sending(path, file.read_bytes())
            call(lambda: client.log_artifact(run_id, str(file)))
            ledger.stored(path)
        source = info.artifact_uri
        model_version = call(lambda: client.create_model_version(REGISTERED, source, run_id))
        version = str(model_version.version)
        ledger.registered(REGISTERED, version, run_id)
        ledger.moving(REGISTERED, alias, version)
        call(lambda: client.set_registered_model_alias(REGISTERED, alias, version))
        ledger.moved(REGISTERED, alias, version)
        call(lambda: client.set_terminated(run_id))
        ledger.ended(run_id, "FINISHED")

    def _call(self, call: Callable[[], object]):
        """What a call of MLflow's client returns, and a note of how it went."""
        self._over.wait(PACE)
        began, before = time.monotonic(), self._retries.of_this_thread()
        outcome, detail = OK, ""
        try:
            return call()
        except Exception as error:
            outcome, detail = type(error).__name__, str(error)
            raise
        finally:
            retries = self._retries.of_this_thread() - before
            attempt = Attempt(began, time.monotonic(), outcome, retries, detail)
            self._attempts[MLFLOW].append(attempt)


def _outcome(ask: Callable[[], httpx.Response], expected: object = None) -> Outcome:
    """OK, a status other than 200, or how the connection failed."""
    try:
        answer = ask()
    except httpx.TimeoutException as error:
        return f"no answer in {PATIENCE} s", repr(error)
    except httpx.ConnectError as error:
        return "refused", repr(error)
    except httpx.TransportError as error:
        return "cut off", repr(error)
    if answer.status_code != 200:
        return str(answer.status_code), answer.text
    with contextlib.suppress(ValueError):  # no JSON
        if expected is None or answer.json() == expected:
            return OK, ""
    return WRONG, answer.text


def _experiment(address: str) -> str:
    """The id of the experiment of all runs, which the registered model is made with."""
    client = MlflowClient(address, address)
    if experiment := client.get_experiment_by_name(EXPERIMENT):
        return experiment.experiment_id
    client.create_registered_model(REGISTERED)
    return client.create_experiment(EXPERIMENT)
