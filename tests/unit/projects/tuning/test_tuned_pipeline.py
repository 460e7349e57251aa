"""The pipeline takes rows as they are in a table: gaps, nulls, categories never seen."""

import numpy as np
import pandas as pd
import pytest

from host.paths import ROOT
from mixed_table import read_mixed
from tuned_pipeline import CLASSIFICATION, FOLDS, REGRESSION, cross_validate, pipeline

PENGUINS = read_mixed(str(ROOT / "projects/tuning/data/penguins.csv"), "body_mass_g")
SPECIES = read_mixed(str(ROOT / "projects/tuning/data/penguins.csv"), "species")


@pytest.fixture(scope="module")
def model():
    made = pipeline(PENGUINS.features, REGRESSION, REGRESSION.start)
    return made.fit(PENGUINS.features, PENGUINS.answers)


def test_a_gap_is_the_same_however_it_is_written(model):
    rows = PENGUINS.features.head(3)

    as_nan = model.predict(rows.assign(sex=np.nan))
    as_null = model.predict(rows.assign(sex=pd.Series([None] * 3, dtype=object)))

    assert as_nan.tolist() == as_null.tolist()
    assert as_nan.tolist() != model.predict(rows).tolist()


def test_a_category_never_seen_and_a_missing_number_are_answered(model):
    rows = PENGUINS.features.head(3)

    unseen = model.predict(rows.assign(species="Rockhopper"))
    gaps = model.predict(rows.assign(bill_length_mm=np.nan))

    assert ((unseen > 2500) & (unseen < 6500)).all()
    assert ((gaps > 2500) & (gaps < 6500)).all()


@pytest.mark.parametrize("table", [PENGUINS, SPECIES], ids=["regression", "classification"])
def test_cross_validation_gives_the_metric_of_each_fold(table):
    scores = cross_validate(table.features, table.answers, table.kind.start, 0)

    assert len(scores) == FOLDS
    assert min(scores) > (100 if table is PENGUINS else 0.9)
    assert table.kind is (REGRESSION if table is PENGUINS else CLASSIFICATION)
    assert scores == cross_validate(table.features, table.answers, table.kind.start, 0)


@pytest.mark.parametrize("kind", [REGRESSION, CLASSIFICATION], ids=lambda kind: kind.name)
def test_what_is_tried_first_is_within_the_space(kind):
    assert kind.start.keys() == kind.space.keys()
    for name, (low, high) in kind.space.items():
        assert low < kind.start[name] < high
