"""When a version may replace another, and what the outcome says."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from common.promotion import Comparison
from common.split import Split, split_of, tags_of

scores = st.floats(allow_nan=False)


@given(scores, scores)
def test_a_version_is_good_enough_if_it_is_at_least_as_good(candidate, incumbent):
    result = Comparison.of(candidate, incumbent, "")

    assert (result.good_enough, result.better) == (candidate >= incumbent, candidate > incumbent)


@given(scores)
def test_no_score_is_the_worst_one(score):
    assert not Comparison.of(nan, max(score, -1e300), "").good_enough
    assert Comparison.of(score, nan, "").good_enough
    assert Comparison.of(nan, nan, "").good_enough


def version(tags: dict[str, str]) -> ModelVersion:
    return ModelVersion("wine", "1", 0, tags=[ModelVersionTag(*tag) for tag in tags.items()])


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 2**32))
def test_a_version_tells_by_its_tags_how_its_rows_were_split(share, seed):
    split = Split(share, seed)

    assert split_of(version(tags_of(split))) == split


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"split.seed": "1"},
        {"split.seed": "one", "split.test_size": "0.25"},
        {"split.seed": "1", "split.test_size": "nan"},
        {"split.seed": "-1", "split.test_size": "0.25"},
    ],
)
def test_a_version_without_these_tags_does_not_tell(tags):
    assert split_of(version(tags)) is None
