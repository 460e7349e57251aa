"""When a version may replace another, and what the outcome says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

from dataset import Split
from promotion import Comparison, split_of, tags_of

counts = st.integers(0, 1000)


@given(counts, counts)
def test_a_version_is_good_enough_if_it_is_right_at_least_as_often(candidate, incumbent):
    result = Comparison(candidate, incumbent, rows=1000)

    assert result.good_enough == (candidate >= incumbent)
    assert result.good_enough or Comparison(incumbent, candidate, rows=1000).good_enough


def test_a_comparison_reads_as_a_sentence():
    assert str(Comparison(44, 45, 45)) == "44 against 45 of 45 held-out rows right"


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
