"""A search as the tracking server holds it, which is all that it needs to go on after a kill.

    the search          parent run, named as the study
    ├── attempt 1       the run of a command that worked on it, here one that was killed
    ├── trial 0         a child run for each trial
    ├── trial 1
    ├── attempt 2       the same command again: it runs the trials that are missing
    └── ...

A search is worked on by one attempt at a time: the parent says which, in its tags, and how lately
it was alive. Tags cannot be compared and swapped; an attempt that was superseded in the same
moment, or taken for dead, sees so before its next trial, and stops.
"""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import click
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE

from common.errors import BadInput

BEAT = 5
"""Seconds between two signs of life."""
SILENCE = 4 * BEAT
"""Seconds without a sign of life after which an attempt elsewhere is taken for dead."""

KEPT = ("mlflow.source.", "mlflow.user")
"""Tags of the first attempt that the search has, too: where its code is from, and whose it is."""
NOTE = (
    "A hyperparameter search. Below it is a run for each trial and for each command that worked "
    "on it (attempts; the last one holds the model). The same command again runs what is missing."
)


class SupersededError(BadInput):
    """Another attempt has taken the search over."""


@dataclass(frozen=True)
class Trial:
    """A trial that ended. `score`: the mean of the metric over the folds; None where it failed."""

    number: int
    params: Mapping[str, float]
    score: float | None
    seconds: float


class Study:
    """The search `name`, found or begun, and worked on by the run `attempt`.

    about: what makes trials comparable; logged as parameters of the search. With `fingerprint`,
    a digest of all that, a search of the same name over other data is refused.

    A context: at its end no run of the search is RUNNING. Raises BadInput when another attempt is
    alive, or when the search is of something else.
    """

    def __init__(
        self, name: str, fingerprint: str, metric: str, about: Mapping[str, object], attempt: Run
    ) -> None:
        self.client = MlflowClient()
        self.name, self.metric, self.attempt = name, metric, attempt
        self.experiment = attempt.info.experiment_id
        self._beat_at = 0.0
        parent = self._find() or self._create(fingerprint, about)
        if parent.data.tags.get("study.fingerprint") != fingerprint:
            raise BadInput(
                f"study: {name!r} searches other data, another target, seed or test_size; "
                "choose another name"
            )
        self._refuse_if_alive(parent)
        self.id = parent.info.run_id
        self._claim()

    def __enter__(self) -> "Study":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            status = "FINISHED"
        elif issubclass(kind, SupersededError):
            return  # the search is another's now
        else:
            status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        self._end_all()
        self.client.set_terminated(self.id, status)

    @property
    def parent(self) -> Run:
        """The run of the search, as it is now."""
        return self.client.get_run(self.id)

    def trials(self) -> dict[int, Trial]:
        """All trials that ended, by number; of two with one number, the first."""
        trials = {}
        for run in self._children("attributes.status != 'RUNNING'"):
            number = run.data.tags.get("trial")
            if number is not None and run.info.status in ("FINISHED", "FAILED"):
                trials.setdefault(int(number), self._trial(int(number), run))
        return dict(sorted(trials.items()))

    def begin(self, number: int, params: Mapping[str, float]) -> str:
        """Record that a trial runs; returns the id of its run.

        Raises SupersededError.
        """
        self.check()
        tags = {
            MLFLOW_PARENT_RUN_ID: self.id,
            MLFLOW_RUN_NAME: f"trial {number}",
            "study": self.name,
            "trial": str(number),
        }
        run_id = self.client.create_run(self.experiment, tags=tags).info.run_id
        values = [Param(name, repr(value)) for name, value in params.items()]
        self.client.log_batch(run_id, params=values)
        return run_id

    def finish(self, run_id: str, scores: list[float], seconds: float) -> None:
        """Record the metric on each fold, their mean, and how long it took, in one request."""
        now = int(time.time() * 1000)
        metrics = [Metric(f"{self.metric}_fold", score, now, k) for k, score in enumerate(scores)]
        metrics += [
            Metric(self.metric, sum(scores) / len(scores), now, 0),
            Metric("seconds", seconds, now, 0),
        ]
        self.client.log_batch(run_id, metrics=metrics)
        self.client.set_terminated(run_id, "FINISHED")

    def fail(self, run_id: str, why: str, seconds: float) -> None:
        """Record that a trial failed, and why."""
        metrics = [Metric("seconds", seconds, int(time.time() * 1000), 0)]
        self.client.log_batch(run_id, metrics=metrics, tags=[RunTag("failure", why)])
        self.client.set_terminated(run_id, "FAILED")

    def beat(self) -> None:
        """Give a sign of life, if one is due."""
        if time.monotonic() - self._beat_at >= BEAT:
            self.client.set_tag(self.id, "study.alive", repr(time.time()))
            self._beat_at = time.monotonic()

    def check(self) -> None:
        """Raises SupersededError where another attempt works on the search now."""
        owner = self.parent.data.tags.get("study.attempt")
        if owner != self.attempt.info.run_id:
            raise SupersededError(f"study: run {owner} has taken {self.name!r} over")

    def registered(self, model: str, trials: int) -> str | None:
        """The version that was registered under `model` after so many trials, if it still is."""
        version = self.parent.data.tags.get(f"registered.{model}.{trials}")
        known = self.client.search_model_versions(f"name = '{model}'", max_results=1000)
        return version if version in {str(one.version) for one in known} else None

    def conclude(self, model: str, trials: int, version: str, best: Trial) -> None:
        """Record on the search what came of it."""
        metrics = [Metric(f"best_{self.metric}", best.score, int(time.time() * 1000), trials)]
        tags = [
            RunTag(f"registered.{model}.{trials}", version),
            RunTag("best", f"trial {best.number}"),
        ]
        self.client.log_batch(self.id, metrics=metrics, tags=tags)

    def _find(self) -> Run | None:
        """The run of the search; of two begun in the same moment, the first."""
        runs = mlflow.search_runs(
            [self.experiment],
            f"tags.study = '{self.name}' and tags.`study.fingerprint` LIKE '%'",
            order_by=["attributes.start_time", "attributes.run_id"],
            max_results=1,
            output_format="list",
        )
        return runs[0] if runs else None

    def _create(self, fingerprint: str, about: Mapping[str, object]) -> Run:
        sources = self.attempt.data.tags.items()
        tags = {
            **{tag: value for tag, value in sources if tag.startswith(KEPT)},
            MLFLOW_RUN_NAME: self.name,
            MLFLOW_RUN_NOTE: NOTE,
            "study": self.name,
            "study.fingerprint": fingerprint,
        }
        mine = self.client.create_run(self.experiment, tags=tags)
        first = self._find()
        if first.info.run_id != mine.info.run_id:  # another began it in the same moment
            self.client.set_terminated(mine.info.run_id, "KILLED")
            self.client.delete_run(mine.info.run_id)
            return first
        params = [Param(name, str(value)) for name, value in about.items()]
        self.client.log_batch(mine.info.run_id, params=params)
        return first

    def _refuse_if_alive(self, parent: Run) -> None:
        """Raises BadInput where another attempt works on the search; may wait to see.

        On this machine a process that is gone tells at once. Elsewhere, signs of life do: whether
        there is a new one, not how old the last is, since clocks differ.
        """
        tags = parent.data.tags
        if parent.info.status != "RUNNING" or "study.attempt" not in tags:
            return
        host, _, process = tags["study.process"].rpartition(":")
        if host == socket.gethostname() and not exists(int(process)):
            return
        click.echo(
            f"run {tags['study.attempt']} may still work on study {self.name!r}; "
            f"waiting up to {SILENCE} s for a sign of life"
        )
        deadline = time.monotonic() + SILENCE
        while time.monotonic() < deadline:
            time.sleep(BEAT / 5)
            now = self.client.get_run(parent.info.run_id)
            if now.info.status != "RUNNING":
                return
            if now.data.tags["study.alive"] != tags["study.alive"]:
                raise BadInput(
                    f"study: run {now.data.tags['study.attempt']} works on {self.name!r} right now "
                    f"(process {process} on {host}); wait for it, or choose another name"
                )

    def _claim(self) -> None:
        """Make this attempt the one that works on the search, and end what a dead one left."""
        tags = {
            "study.attempt": self.attempt.info.run_id,
            "study.process": f"{socket.gethostname()}:{os.getpid()}",
            "study.alive": repr(time.time()),
        }
        self.client.log_batch(self.id, tags=[RunTag(*tag) for tag in tags.items()])
        self._beat_at = time.monotonic()
        self.client.update_run(self.id, status="RUNNING")
        self._end_all()
        number = sum("attempt" in run.data.tags for run in self._children()) + 1
        mlflow.set_tags(
            {
                MLFLOW_PARENT_RUN_ID: self.id,
                MLFLOW_RUN_NAME: f"attempt {number}",
                "study": self.name,
                "attempt": number,
            }
        )

    def _end_all(self) -> None:
        """Mark every trial, and every attempt but this, that is left RUNNING as KILLED."""
        for run in self._children("attributes.status = 'RUNNING'"):
            if run.info.run_id != self.attempt.info.run_id:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _children(self, *conditions: str) -> list[Run]:
        """Runs below the search, oldest first."""
        return mlflow.search_runs(
            [self.experiment],
            " and ".join([f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.id}'", *conditions]),
            order_by=["attributes.start_time"],
            output_format="list",
        )

    def _trial(self, number: int, run: Run) -> Trial:
        params = {name: float(value) for name, value in run.data.params.items()}
        metrics = run.data.metrics
        score = metrics.get(self.metric) if run.info.status == "FINISHED" else None
        return Trial(number, params, score, metrics.get("seconds", 0.0))


def exists(process: int) -> bool:
    """Whether a process of this machine is there, be it another user's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
