"""Measure answers on held-out sentences: metrics, the confusion matrix, examples of errors."""

import re

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)

from common.held_out import Measure
from feedback import Feedback


def macro_f1(labels: np.ndarray, answers: np.ndarray) -> float:
    """The mean of the classes' F1: each weighs alike, however rare. Of answers (rows * columns,),
    the first column is the label."""
    first_column = answers.reshape(len(labels), -1)[:, 0].astype(str)
    return float(f1_score(labels, first_column, average="macro", zero_division=0))


MACRO_F1 = Measure(
    macro_f1, "macro F1 {candidate:.3f} against {incumbent:.3f} on {rows} held-out sentences"
)


def metrics(labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Precision, recall and F1, of all classes and of each."""
    classes = np.unique(labels)
    each = precision_recall_fscore_support(labels, answers, labels=classes, zero_division=0)[:3]
    return overall(labels, answers) | {
        f"{name}.{in_a_name(label)}": float(value)
        for name, values in zip(("precision", "recall", "f1"), each, strict=True)
        for label, value in zip(classes, values, strict=True)
    }


def overall(labels: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """Accuracy and macro F1."""
    return {"accuracy": accuracy_score(labels, answers), "f1_macro": macro_f1(labels, answers)}


def in_a_name(label: str) -> str:
    """A label as a metric's name can hold it."""
    return re.sub(r"[^\w. /-]", "_", label, flags=re.ASCII)


def confusion_matrix(labels: np.ndarray, answers: np.ndarray) -> Figure:
    """A figure of its own, so that no display is needed."""
    figure = Figure(layout="constrained")
    ConfusionMatrixDisplay.from_predictions(labels, answers, ax=figure.subplots())
    return figure


def errors(held_out: Feedback, answers: pd.DataFrame, most: int = 50) -> pd.DataFrame:
    """The sentences that are answered wrongly, the surest first."""
    table = held_out.frame().assign(answer=answers["label"], probability=answers["probability"])
    wrong = table[table["label"] != table["answer"]]
    return wrong.sort_values("probability", ascending=False).head(most).reset_index(drop=True)
