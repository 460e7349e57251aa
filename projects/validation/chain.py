"""Validation and training, one after the other: a run with a run below it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import ExecutionException

from common.errors import BadInput, first_line
from common.runs import record_parameters, recorded_run
from csv_source import local_file, shown
from validating import check_file

TRAINING = Path(__file__).resolve().parent.parent / "wine"
HANDED_ON = ("target", "model_name", "alias", "promote")


@dataclass(frozen=True)
class Settings:
    """The parameters of the entry point `train`, as in MLproject."""

    filename: str
    max_errors: int
    schema: str
    target: str
    model_name: str
    alias: str
    promote: str
    env_manager: str


def validate_then_train(settings: Settings) -> None:
    """Validate a file and train on it; what is fetched from elsewhere is fetched once, so that
    training gets the very bytes that were validated.

    Raises BadInput where the file does not pass, so that no training starts, or training fails.
    """
    name = settings.filename
    with recorded_run() as run:
        record_parameters(run, {**asdict(settings), "filename": shown(name)})
        with local_file(name) as path:
            check_file(str(path), name, settings.max_errors, run, settings.schema)
            train(run, path.resolve(), settings)


def train(run: mlflow.ActiveRun, path: Path, settings: Settings) -> None:
    """Run the project that trains, as a child of the run."""
    if not TRAINING.is_dir():
        raise BadInput(f"the file passed, but there is no project {TRAINING} to train with")
    parameters = {name: getattr(settings, name) for name in HANDED_ON}
    try:
        mlflow.projects.run(
            str(TRAINING),
            parameters={"data": str(path), **parameters},
            experiment_id=run.info.experiment_id,
            env_manager=settings.env_manager,
            run_name="training",
        )
    except ExecutionException as error:
        why = first_line(error)
        raise BadInput(f"the file passed, but training on it failed: {why}; see its run") from error
