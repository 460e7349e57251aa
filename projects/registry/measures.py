"""The metrics that MLflow's evaluation gives, and which way is better."""

import math

CLASSIFIER = (
    "accuracy_score",
    "f1_score",
    "log_loss",
    "precision_recall_auc",
    "precision_score",
    "recall_score",
    "roc_auc",
)
REGRESSOR = (
    "max_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "r2_score",
    "root_mean_squared_error",
)
LOWER_IS_BETTER = {
    "log_loss",
    "max_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "root_mean_squared_error",
}
METRICS = (*CLASSIFIER, *REGRESSOR)


def kind_of(metric: str) -> str:
    """MLflow's type of the models that have the metric."""
    return "regressor" if metric in REGRESSOR else "classifier"


def number(value: float) -> str:
    """A metric's value as people read it."""
    return "nan" if math.isnan(value) else f"{value:.6g}"
