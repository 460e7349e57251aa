"""Measure a classifier on held-out rows, and draw the plots."""

from matplotlib.figure import Figure
from sklearn.base import ClassifierMixin
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    RocCurveDisplay,
    accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from dataset import Table


def metrics(model: ClassifierMixin, test: Table) -> dict[str, float]:
    """Metrics on held-out rows, the macro averages weighing every class alike."""
    answers = model.predict(test.features)
    chances = model.predict_proba(test.features)  # (rows, classes)
    scores = chances if chances.shape[1] > 2 else chances[:, 1]
    return {
        "accuracy": accuracy_score(test.labels, answers),
        "f1_macro": f1_score(test.labels, answers, average="macro"),
        "log_loss": log_loss(test.labels, chances, labels=model.classes_),
        "roc_auc_macro": roc_auc_score(test.labels, scores, multi_class="ovr"),
    }


def plots(model: ClassifierMixin, test: Table) -> dict[str, Figure]:
    """File name and figure of each plot. Figures of their own, so that no display is needed."""
    confusion, roc = Figure(layout="constrained"), Figure(layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        test.labels, model.predict(test.features), ax=confusion.subplots()
    )
    axes = roc.subplots()
    for label, chance in zip(model.classes_, model.predict_proba(test.features).T, strict=True):
        RocCurveDisplay.from_predictions(
            test.labels == label, chance, name=str(label), ax=axes, plot_chance_level=False
        )
    axes.set(title="One class against the others")
    return {"plots/confusion_matrix.png": confusion, "plots/roc.png": roc}
