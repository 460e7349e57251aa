"""What a run that registers a model says at its end."""

import mlflow

from common.promotion import Gate, Outcome
from common.runs import run_page


def summary(
    run: mlflow.ActiveRun, gate: Gate, version: str, outcome: Outcome, ask: str, **more: str
) -> str:
    """Lines of a word and what it stands for: the run, the model, what became of it, `more`, and
    the command `ask` to try it with."""
    lines = {
        "run": run_page(run),
        "model": f"{gate.name} version {version}",
        **more,
        "promotion": f"{'promoted' if outcome.promoted else 'not promoted'}: {outcome.reason}",
        gate.alias: f"{gate.alias} of {gate.name} is version {gate.holder()}",
        "try it": ask,
    }
    width = max(map(len, lines)) + 2
    return "\n".join(f"{word:<{width}}{text}" for word, text in lines.items())
