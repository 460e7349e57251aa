"""The figure and the table of a search."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study import Trial
from tuned_pipeline import Kind


def table(trials: Iterable[Trial], kind: Kind) -> pd.DataFrame:
    """A row for each trial: number, metric (missing where it failed), parameters, seconds."""
    rows = [
        {"trial": one.number, kind.metric: one.score, **one.params, "seconds": one.seconds}
        for one in trials
    ]
    return pd.DataFrame(rows).sort_values("trial").astype({kind.metric: "float64"})


def figure(trials: Iterable[Trial], kind: Kind) -> Figure:
    """The metric over the trials with the best so far, and over each hyperparameter.

    A figure of its own, so that no display is needed.
    """
    shown = table(trials, kind)
    scores = shown[kind.metric].to_numpy()
    best = np.fmin if kind.direction == "minimize" else np.fmax
    drawn = Figure(figsize=(12, 8), layout="constrained")
    top, bottom = drawn.subfigures(2)
    axes = top.subplots()
    axes.scatter(shown["trial"], scores, c=shown["trial"])
    axes.plot(shown["trial"], best.accumulate(scores), drawstyle="steps-post", label="best so far")
    axes.set(title="The search", xlabel="trial", ylabel=kind.metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    for axes, name in zip(
        np.atleast_1d(bottom.subplots(1, len(kind.space), sharey=True)), kind.space, strict=True
    ):
        axes.scatter(shown[name], scores, c=shown["trial"])
        axes.set(xscale="log", xlabel=name)
        axes.label_outer()
    return drawn
