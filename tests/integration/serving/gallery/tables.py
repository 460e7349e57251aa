"""scikit-learn's pipelines on tables with words and missing values, and on texts."""

from __future__ import annotations

import functools
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import CategoricalNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from tests.integration.serving.gallery import data, questions
from tests.integration.serving.gallery.estimators import save
from tests.integration.serving.gallery.piece import Piece

NUMBERS = ["age", "income", "height"]
WORDS = ["city", "job"]


def _people(estimator: object, columns: list[str] | None = None, **further: object) -> Piece:
    frame, target = data.people()
    columns = columns or list(frame)
    example = data.whole_people()[columns]
    return Piece(
        "tables",
        functools.partial(
            save,
            estimator=estimator,
            frame=frame[columns],
            target=target,
            example=example,
            **further,
        ),
        lambda: questions.of_frame(example),
    )


def _with_columns_missing(folder: Path) -> None:
    """Every column optional, as `infer_signature` writes it of data with holes."""
    frame, target = data.people()
    model = make_pipeline(_columns(), RandomForestClassifier(5, random_state=0)).fit(frame, target)
    columns = [
        ColSpec("string" if name in WORDS else "double", name, required=name == "age")
        for name in frame
    ]
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=ModelSignature(Schema(columns)),
        input_example=frame.head(3),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )


def _columns() -> object:
    return make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), WORDS),
    )


def _fill(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.fillna(frame.mean())


def _texts(*steps: object) -> Piece:
    """A pipeline on one column of texts, as a frame's column."""

    def fit_and_save(folder: Path) -> None:
        frame = pd.DataFrame({"review": data.REVIEWS})
        save(
            folder,
            make_pipeline(make_column_transformer((steps[0], "review")), *steps[1:]),
            frame,
            data.LIKED,
        )

    return Piece("texts", fit_and_save, lambda: questions.of_texts(data.REVIEWS[:3], "review"))


def _save_bare_texts(folder: Path) -> None:
    """A vectorizer takes texts, no frame: the usual tutorial."""
    model = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(data.REVIEWS, data.LIKED)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(data.REVIEWS),
        input_example=data.REVIEWS[:2],
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )


def _save_bare(folder: Path) -> None:
    """Neither signature nor example."""
    mlflow.sklearn.save_model(
        make_pipeline(_columns(), LogisticRegression(max_iter=1000)).fit(*data.people()),
        folder,
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )


def _save_categories(folder: Path) -> None:
    """Trained on pandas' categories; requests bring words."""
    frame, target = data.people()
    frame = frame.astype(dict.fromkeys(WORDS, "category"))
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    mlflow.sklearn.save_model(
        model.fit(frame, target),
        folder,
        signature=infer_signature(data.whole_people()),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",
    )


_encoded = functools.partial(
    make_column_transformer,
    (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), WORDS),
    remainder="passthrough",
    verbose_feature_names_out=False,
)

TABLES = {
    "table-logistic": _people(make_pipeline(_columns(), LogisticRegression(max_iter=1000))),
    "table-chances": _people(
        make_pipeline(_columns(), RandomForestClassifier(5, random_state=0)),
        pyfunc_predict_fn="predict_proba",
    ),
    "table-optional": Piece(
        "tables", _with_columns_missing, lambda: questions.of_frame(data.whole_people())
    ),
    "table-unsigned": Piece("tables", _save_bare, lambda: questions.of_frame(data.whole_people())),
    "table-strict": _people(
        make_pipeline(make_column_transformer((OneHotEncoder(), ["city"])), LogisticRegression()),
        ["city", "age"],
    ),
    "table-boosted": _people(
        make_pipeline(
            _encoded(),
            HistGradientBoostingClassifier(max_iter=5, categorical_features=[0, 1]),
        )
    ),
    "table-categories": Piece(
        "tables", _save_categories, lambda: questions.of_frame(data.whole_people())
    ),
    "table-pandas": _people(
        make_pipeline(
            _encoded().set_output(transform="pandas"),
            SimpleImputer().set_output(transform="pandas"),
            RandomForestClassifier(5, random_state=0),
        )
    ),
    "table-selector": _people(
        make_pipeline(
            make_column_transformer(
                (SimpleImputer(), make_column_selector(dtype_include="number")),
                (
                    OneHotEncoder(handle_unknown="infrequent_if_exist"),
                    make_column_selector(dtype_exclude="number"),
                ),
            ),
            LogisticRegression(max_iter=1000),
        )
    ),
    "table-nearest": _people(make_pipeline(KNNImputer(), KNeighborsClassifier()), NUMBERS),
    "table-flags": _people(
        make_pipeline(SimpleImputer(add_indicator=True), SGDClassifier(random_state=0)), NUMBERS
    ),
    "table-target": _people(
        make_pipeline(
            make_column_transformer((TargetEncoder(random_state=0), ["city"]), ("drop", ["age"])),
            LogisticRegression(),
        ),
        ["city", "age"],
    ),
    "table-codes": _people(
        make_pipeline(
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=3),
            CategoricalNB(min_categories=4),
        ),
        ["city"],
    ),
    "fill-by-mean": _people(
        make_pipeline(FunctionTransformer(_fill), LogisticRegression(max_iter=1000)), NUMBERS
    ),
    "logarithm": Piece(
        "tables",
        functools.partial(
            save,
            estimator=TransformedTargetRegressor(
                make_pipeline(
                    FunctionTransformer(np.log1p), SelectKBest(f_regression, k=2), Ridge()
                ),
                func=np.log,
                inverse_func=np.exp,
            ),
            frame=data.WINE,
            target=data.AMOUNT,
        ),
        lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]]),
    ),
    "integers": Piece(
        "tables",
        functools.partial(
            save,
            estimator=RandomForestClassifier(5, random_state=0),
            frame=data.WINE.astype(int),
            target=data.CULTIVAR,
        ),
        lambda: questions.of_frame(data.WINE.astype(int).iloc[[0, 60, 150]]),
    ),
    "float32": Piece(
        "tables",
        functools.partial(
            save, estimator=Ridge(), frame=data.WINE.astype("float32"), target=data.AMOUNT
        ),
        lambda: questions.of_frame(data.WINE.iloc[[0, 60, 150]]),
    ),
    "texts": _texts(TfidfVectorizer(), LogisticRegression()),
    "texts-hashed": _texts(HashingVectorizer(n_features=64), SGDClassifier(random_state=0)),
    "texts-letters": _texts(
        CountVectorizer(analyzer="char_wb", ngram_range=(1, 2)), ComplementNB()
    ),
    "texts-topics": _texts(
        TfidfVectorizer(), TruncatedSVD(2, random_state=0), LogisticRegression()
    ),
    "texts-bare": Piece(
        "texts", _save_bare_texts, lambda: questions.of_texts(data.REVIEWS[:3], "review")
    ),
}
