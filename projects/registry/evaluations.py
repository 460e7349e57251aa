"""Measure versions of a model on the same rows, by MLflow's own evaluation."""

import warnings

import mlflow
import pandas as pd
from mlflow.models import EvaluationResult, MetricThreshold
from mlflow.models.evaluation.validation import ModelValidationFailedException
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType

from common.errors import first_line
from common.promotion import CannotCompareError
from measures import LOWER_IS_BETTER

FLOATS = {DataType.double: "float64", DataType.float: "float32"}


class Evaluations:
    """What MLflow measures for versions of a model on one table, each version once.

    Every evaluation is a run of its own inside the active one, with metrics and plots, so that the
    UI compares them side by side.
    """

    def __init__(self, name: str, table: pd.DataFrame, target: str, source: str, kind: str) -> None:
        """table: (rows, columns), of which `target` holds the labels; kind: as in measures."""
        self.name, self.table, self.target = name, table, target
        self.source, self.kind = source, kind
        self._known: dict[str, EvaluationResult] = {}

    def of(self, version: str) -> EvaluationResult:
        """Metrics of a version; CannotCompareError where it cannot be loaded or measured."""
        if version not in self._known:
            try:
                self._known[version] = self._evaluate(version)
            except CannotCompareError:
                raise
            except Exception as error:  # a model is other people's code: it may raise anything
                raise CannotCompareError(
                    f"version {version} cannot be evaluated: {first_line(error)}"
                ) from error
        return self._known[version]

    def score(self, version: str, metric: str) -> float:
        """One metric; CannotCompareError where the version lacks it."""
        metrics = self.of(version).metrics
        if metric not in metrics:
            raise CannotCompareError(
                f"version {version} has no {metric} here, but {words(metrics)}"
            )
        return float(metrics[metric])

    def below(self, version: str, metric: str, limit: float) -> bool:
        """Whether a metric is worse than a limit; nan is."""
        self.score(version, metric)
        threshold = MetricThreshold(
            threshold=float(limit), greater_is_better=metric not in LOWER_IS_BETTER
        )
        try:
            mlflow.validate_evaluation_results({metric: threshold}, self.of(version))
        except ModelValidationFailedException:
            return True
        return False

    def _evaluate(self, version: str) -> EvaluationResult:
        with (
            warnings.catch_warnings(action="ignore"),  # on the labels' types and the like
            mlflow.start_run(run_name=f"{self.name} version {version}", nested=True),
        ):
            model = mlflow.pyfunc.load_model(f"models:/{self.name}/{version}")
            rows = inputs(model, self.table.drop(columns=self.target), version)
            dataset = mlflow.data.from_pandas(
                rows.assign(**{self.target: labels(model, self.table[self.target])}),
                source=self.source,
                targets=self.target,
                name=self.name,
            )
            return mlflow.models.evaluate(
                model,
                dataset,
                model_type=self.kind,
                evaluators="default",
                evaluator_config={"log_model_explainability": False},
            )


def inputs(model: PyFuncModel, rows: pd.DataFrame, version: str) -> pd.DataFrame:
    """The columns that a model takes, whole numbers as floats where it takes floats.

    Raises CannotCompareError where one is missing.
    """
    schema = model.metadata.get_input_schema()
    if schema is None or not schema.has_input_names():
        return rows
    if missing := [name for name in schema.required_input_names() if name not in rows.columns]:
        raise CannotCompareError(
            f"version {version} takes a column {missing[0]!r}, which the data do not have"
        )
    taken = rows[[name for name in schema.input_names() if name in rows.columns]]
    floats = {
        name: FLOATS[kind]
        for name, kind in schema.input_types_dict().items()
        if kind in FLOATS and name in taken and pd.api.types.is_integer_dtype(taken[name])
    }
    return taken.astype(floats)


def labels(model: PyFuncModel, column: pd.Series) -> pd.Series:
    """Labels as the model gives them: numbers in a file may be names."""
    schema = model.metadata.get_output_schema()
    texts = schema is not None and schema.input_types() == [DataType.string]
    return column.astype(str) if texts else column


def words(metrics: dict[str, float]) -> str:
    """The names of metrics, in one line."""
    return ", ".join(sorted(metrics))
