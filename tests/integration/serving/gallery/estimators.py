"""scikit-learn, of every family, on a table of numbers."""

from __future__ import annotations

import functools
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, BisectingKMeans, KMeans, MeanShift, MiniBatchKMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.isotonic import IsotonicRegression
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNetCV,
    HuberRegressor,
    LogisticRegression,
    MultiTaskLasso,
    PoissonRegressor,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    SGDClassifier,
)
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    RadiusNeighborsClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    KBinsDiscretizer,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC, NuSVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from tests.integration.serving.gallery import data, questions
from tests.integration.serving.gallery.piece import Piece


def save(
    folder: Path,
    estimator: object,
    frame: pd.DataFrame,
    target: object,
    example: pd.DataFrame | None = None,
    form: str = "cloudpickle",
    **further: object,
) -> None:
    """Fitted, and saved as most people do: the example and the signature from the data."""
    fitted = estimator.fit(frame, target)
    example = frame.head(3) if example is None else example
    mlflow.sklearn.save_model(
        fitted,
        folder,
        signature=infer_signature(example, np.asarray(fitted.predict(example))),
        input_example=example,
        pip_requirements=["scikit-learn"],
        serialization_format=form,
        **further,
    )


def _piece(family: str, estimator: object, target: object, **further: object) -> Piece:
    return Piece(
        family,
        functools.partial(save, estimator=estimator, frame=data.WINE, target=target, **further),
        lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]]),
    )


_classifier = functools.partial(_piece, target=data.CULTIVAR)
_regressor = functools.partial(_piece, target=data.AMOUNT)
_unsupervised = functools.partial(_piece, target=None)


def _words(cultivar: pd.Series) -> pd.Series:
    return cultivar.map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})


ESTIMATORS = {
    "logistic": _classifier("linear", LogisticRegression(max_iter=5000), form="skops"),
    "logistic-words": _piece("linear", LogisticRegression(max_iter=5000), _words(data.CULTIVAR)),
    "ridge": _regressor("linear", Ridge(), form="skops"),
    "elastic-net": _regressor("linear", ElasticNetCV(cv=3)),
    "bayesian-ridge": _regressor("linear", BayesianRidge()),
    "huber": _regressor("linear", HuberRegressor(max_iter=1000)),
    "quantile": _regressor("linear", QuantileRegressor(alpha=0)),
    "poisson": _regressor("linear", PoissonRegressor(max_iter=1000)),
    "ransac": _regressor("linear", RANSACRegressor(random_state=0)),
    "two-tasks": _piece("linear", MultiTaskLasso(), data.TWO_AMOUNTS),
    "sgd": _classifier("linear", SGDClassifier(random_state=0)),
    "tree": _classifier("trees", DecisionTreeClassifier(random_state=0)),
    "forest-chances": _classifier(
        "trees",
        RandomForestClassifier(5, random_state=0),
        pyfunc_predict_fn="predict_proba",
    ),
    "extra-trees": _regressor("trees", ExtraTreesRegressor(5, random_state=0)),
    "gradient-boosting": _classifier("trees", GradientBoostingClassifier(n_estimators=3)),
    "histogram-boosting": _classifier("trees", HistGradientBoostingClassifier(max_iter=5)),
    "ada-boost": _classifier("ensembles", AdaBoostClassifier(n_estimators=5, random_state=0)),
    "bagging": _regressor("ensembles", BaggingRegressor(Ridge(), 3, random_state=0)),
    "voting": _classifier(
        "ensembles",
        VotingClassifier(
            [("tree", DecisionTreeClassifier(random_state=0)), ("bayes", GaussianNB())],
            voting="soft",
        ),
    ),
    "stacking": _regressor(
        "ensembles",
        StackingRegressor([("ridge", Ridge()), ("near", KNeighborsRegressor())], Ridge(), cv=2),
    ),
    "neighbours": _classifier("neighbours", KNeighborsClassifier()),
    "neighbours-regression": _piece("neighbours", KNeighborsRegressor(), data.TWO_AMOUNTS),
    "radius": _classifier("neighbours", RadiusNeighborsClassifier(5.0, outlier_label=-1)),
    "centroids": _classifier("neighbours", NearestCentroid()),
    "svc": _classifier("support vectors", SVC()),
    "linear-svc": _classifier("support vectors", LinearSVC()),
    "nu-svr": _regressor("support vectors", NuSVR()),
    "one-class": _unsupervised("outliers", OneClassSVM()),
    "isolation": _unsupervised("outliers", IsolationForest(n_estimators=5, random_state=0)),
    "local-outliers": _unsupervised("outliers", LocalOutlierFactor(novelty=True)),
    "ellipse": _unsupervised("outliers", EllipticEnvelope(random_state=0)),
    "bayes": _classifier("naive Bayes", GaussianNB(), form="skops"),
    "process-regression": _regressor(
        "Gaussian processes", GaussianProcessRegressor(alpha=0.1, optimizer=None)
    ),
    "process-classes": _piece(
        "Gaussian processes", GaussianProcessClassifier(), data.CULTIVAR == 0
    ),
    "network": _classifier("neural networks", MLPClassifier(8, max_iter=30, random_state=0)),
    "lda": _classifier("discriminants", LinearDiscriminantAnalysis()),
    "qda": _classifier(
        "discriminants",
        QuadraticDiscriminantAnalysis(),
        pyfunc_predict_fn="predict_log_proba",
    ),
    "pls": _piece("cross decomposition", PLSRegression(2), data.TWO_AMOUNTS),
    "kernel-ridge": _regressor("kernels", KernelRidge(kernel="rbf")),
    "nystroem": _classifier(
        "kernels", make_pipeline(Nystroem(n_components=20, random_state=0), SGDClassifier())
    ),
    "k-means": _unsupervised("clusters", KMeans(3, n_init=1, random_state=0)),
    "small-k-means": _unsupervised("clusters", MiniBatchKMeans(3, n_init=1, random_state=0)),
    "bisecting": _unsupervised("clusters", BisectingKMeans(3, random_state=0)),
    "birch": _unsupervised("clusters", Birch(n_clusters=3)),
    "mean-shift": _unsupervised("clusters", MeanShift(bandwidth=5)),
    "mixture": _unsupervised("mixtures", GaussianMixture(3, random_state=0)),
    "bayesian-mixture": _unsupervised(
        "mixtures", BayesianGaussianMixture(n_components=2, random_state=0)
    ),
    "calibrated": _classifier(
        "meta", CalibratedClassifierCV(GaussianNB(), cv=2), pyfunc_predict_fn="predict_proba"
    ),
    "self-training": _classifier("semi-supervised", SelfTrainingClassifier(GaussianNB())),
    "label-spreading": _classifier("semi-supervised", LabelSpreading(kernel="knn")),
    "one-against-rest": _classifier("meta", OneVsRestClassifier(LogisticRegression())),
    "output-codes": _classifier("meta", OutputCodeClassifier(GaussianNB(), random_state=0)),
    "two-outputs": _piece("meta", MultiOutputRegressor(Ridge()), data.TWO_AMOUNTS),
    "chain": _piece("meta", ClassifierChain(LogisticRegression(), random_state=0), data.TWO_LABELS),
    "labels": _piece("neighbours", KNeighborsClassifier(), data.TWO_LABELS),
    "grid": _regressor("meta", GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=2)),
    "threshold": _piece(
        "meta", FixedThresholdClassifier(GaussianNB(), threshold=0.3), data.CULTIVAR == 0
    ),
    "dummy": _classifier("dummy", DummyClassifier()),
    "isotonic": Piece(
        "isotonic",
        functools.partial(
            save,
            estimator=IsotonicRegression(out_of_bounds="clip"),
            frame=data.WINE[["ash"]],
            target=data.AMOUNT,
        ),
        lambda: questions.of_frame(data.WINE[["ash"]].iloc[[0, 60, 150]]),
    ),
    "components": _classifier(
        "pipelines", make_pipeline(StandardScaler(), PCA(2), LogisticRegression())
    ),
    "union": _regressor("pipelines", make_pipeline(make_union(PCA(2), StandardScaler()), Ridge())),
    "polynomial": _regressor(
        "pipelines", make_pipeline(PolynomialFeatures(2), StandardScaler(), Ridge())
    ),
    "splines": _regressor("pipelines", make_pipeline(SplineTransformer(n_knots=3), Ridge())),
    "bins": _classifier(
        "pipelines",
        make_pipeline(
            KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
            GaussianNB(),
        ),
    ),
    "powers": _regressor(
        "pipelines",
        make_pipeline(PowerTransformer(), QuantileTransformer(n_quantiles=20), Ridge()),
    ),
}
