"""The search itself: what to try next, several trials at once."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait

import click
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from common.errors import BadInput
from mixed_table import MixedTable
from study import BEAT, Study, Trial
from trial_process import TrialProcess
from tuned_pipeline import cross_validate

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Running:
    """A trial that runs now."""

    number: int
    run_id: str
    asked: optuna.Trial
    process: TrialProcess


class Search:
    """Runs the trials of `study` that are missing from the first `trials`, `workers` at once.

    optuna proposes hyperparameters and keeps nothing: it is told what the tracking server knows.
    """

    def __init__(self, study: Study, table: MixedTable, seed: int) -> None:
        self.study, self.table, self.kind, self.seed = study, table, table.kind, seed
        self.space = {
            name: FloatDistribution(low, high, log=True)
            for name, (low, high) in self.kind.space.items()
        }
        self.optuna = optuna.create_study(direction=self.kind.direction)
        self.trials = study.trials()
        for trial in self.trials.values():
            self.optuna.add_trial(self._told(trial))

    def run(self, trials: int, workers: int) -> None:
        """Run what is missing, one line for each trial that ends.

        Raises BadInput when all failed, SupersededError.
        """
        missing = deque(number for number in range(trials) if number not in self.trials)
        total = len(self.trials) + len(missing)
        running: dict[object, Running] = {}
        try:
            while missing or running:
                while missing and len(running) < workers:
                    begun = self._begin(missing.popleft())
                    running[begun.process.connection] = begun
                for connection in wait(list(running), timeout=BEAT):
                    self._end(running.pop(connection), total)
                self.study.beat()
        finally:
            for begun in running.values():
                begun.process.stop()
        if self.best is None:
            raise BadInput(f"all {total} trials failed; their runs say why, as `failure`")

    @property
    def best(self) -> Trial | None:
        """The best trial, of equals the first; None while none has a score."""
        scored = [trial for trial in self.trials.values() if trial.score is not None]
        sign = 1 if self.kind.direction == "minimize" else -1
        return min(scored, key=lambda trial: (sign * trial.score, trial.number), default=None)

    def _begin(self, number: int) -> Running:
        """Choose hyperparameters by the trials known now, and start."""
        if number == 0:
            self.optuna.enqueue_trial(dict(self.kind.start))
        (seed,) = np.random.SeedSequence([self.seed, number]).generate_state(1)
        self.optuna.sampler = optuna.samplers.TPESampler(seed=int(seed))  # the same after a kill
        asked = self.optuna.ask(self.space)
        run_id = self.study.begin(number, asked.params)
        data = self.table.features, self.table.answers
        process = TrialProcess(cross_validate, *data, asked.params, self.seed)
        return Running(number, run_id, asked, process)

    def _end(self, begun: Running, total: int) -> None:
        outcome, seconds = begun.process.outcome()
        score = None if isinstance(outcome, str) else float(np.mean(outcome))
        if score is not None and not math.isfinite(score):
            outcome, score = f"{self.kind.metric} is {score}", None
        if score is None:
            self.study.fail(begun.run_id, outcome, seconds)
            self.optuna.tell(begun.asked, state=TrialState.FAIL)
        else:
            self.study.finish(begun.run_id, outcome, seconds)
            self.optuna.tell(begun.asked, score)
        self.trials[begun.number] = Trial(begun.number, begun.asked.params, score, seconds)
        said = f"failed: {outcome}" if score is None else f"{self.kind.metric} {score:.4f}"
        best = f"   best {self.best.score:.4f} (trial {self.best.number})" if self.best else ""
        click.echo(f"trial {begun.number:<4} {said}{best}   {len(self.trials)} of {total}")

    def _told(self, trial: Trial) -> optuna.trial.FrozenTrial:
        """A trial that ended, as optuna is told of it."""
        params: Mapping[str, float] = trial.params
        return create_trial(
            params=dict(params),
            distributions={name: self.space[name] for name in params},
            value=trial.score,
            state=TrialState.FAIL if trial.score is None else TrialState.COMPLETE,
        )
