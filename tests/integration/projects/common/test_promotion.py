"""The gate against a real registry: who gets the alias, and what is said about it."""

import threading

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from common.held_out import HeldOut
from common.promotion import Gate
from common.split import Split, tags_of
from harness.projects import use

SPLIT = Split(0.5, 1)
ROWS = 200


@pytest.fixture
def name(tracking, request):
    """A model name of the test's own, on the tracking server."""
    use(tracking.uri)
    return request.node.name


@pytest.fixture(scope="module")
def held_out():
    """Held-out rows of a table whose label is whether `a` is at least 100."""
    features = pd.DataFrame({"a": np.arange(float(ROWS)), "b": 0.0})
    features = features[SPLIT.holds_out(features)].reset_index(drop=True)
    return HeldOut(features, np.where(features["a"] >= 100, "high", "low"), SPLIT)


def register(name, model, split=SPLIT, columns=("a", "b")):
    """A new version; the model is fitted to all rows, which the gate does not look into."""
    features = pd.DataFrame(0.0, index=range(ROWS), columns=columns).assign(a=np.arange(ROWS))
    features = features.astype("float64")
    model.fit(features, np.where(features["a"] >= 100, "high", "low"))
    signature = infer_signature(features, pd.Series(model.predict(features)))
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            pip_requirements=["scikit-learn"],
            skops_trusted_types=["sklearn.tree._tree.Tree"],
        )
    tags = tags_of(split) if split else None
    return str(mlflow.register_model(logged.model_uri, name, tags=tags).version)


def good():
    return DecisionTreeClassifier(max_depth=1)


def bad():
    return DummyClassifier(strategy="constant", constant="low")


def tags(name, version):
    return mlflow.MlflowClient().get_model_version(name, version).tags


def test_a_model_is_promoted_if_at_least_as_good(name, held_out):
    gate = Gate(name, "champion", held_out.comparing(name))

    outcomes = []
    for model in (bad(), good(), bad(), good()):
        version = register(name, model)
        outcomes.append((gate.promote(version, "auto", "someone").promoted, gate.holder()))

    assert outcomes == [(True, "1"), (True, "2"), (False, "2"), (True, "4")]
    assert tags(name, "1")["promotion"] == "there was no champion yet"
    right = (
        f"{sum(held_out.labels == 'low')} against {len(held_out.labels)} of {len(held_out.labels)}"
    )
    assert tags(name, "3")["promotion"] == f"worse than version 2: {right} held-out rows right"
    assert tags(name, "4")["promotion"].startswith("at least as good as version 2: ")
    assert tags(name, "4")["promoted_by"] == "someone"
    assert pd.Timestamp(tags(name, "4")["promoted_at"]).utcoffset() == pd.Timedelta(0)
    assert "promoted_at" not in tags(name, "3")


def test_promotion_can_be_forced_and_left_out(name, held_out):
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good()), "auto", "someone")

    assert not gate.promote(register(name, good()), "never", "someone").promoted
    assert gate.holder() == "1"
    assert gate.promote(register(name, bad()), "always", "someone").promoted
    assert gate.holder() == "3"


def test_with_another_split_the_rows_held_out_from_both_decide(name, held_out):
    other = Split(0.5, 2)
    both = int(other.holds_out(held_out.features).sum())
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good(), split=other), "auto", "someone")

    outcome = gate.promote(register(name, good()), "auto", "someone")

    assert outcome.promoted
    assert 10 <= both < len(held_out.labels)
    assert f"{both} against {both} of {both} held-out rows right" in outcome.reason
    assert "held out from both; version 1 was trained with test_size=0.5, seed=2" in outcome.reason


def test_without_enough_rows_held_out_from_both_nothing_is_promoted(name, held_out):
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good(), split=Split(0.001, 2)), "auto", "someone")

    outcome = gate.promote(register(name, good()), "auto", "someone")

    assert not outcome.promoted
    assert "version 1 was not trained on 0 only" in outcome.reason
    assert "promote=always" in outcome.reason


def test_a_champion_that_does_not_tell_its_split_is_compared_and_this_is_said(name, held_out):
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good(), split=None), "auto", "someone")

    outcome = gate.promote(register(name, good()), "auto", "someone")

    assert outcome.promoted
    assert "version 1 may have been trained on them" in outcome.reason


def test_a_champion_of_other_columns_is_not_replaced(name, held_out):
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good(), columns=("a", "c")), "auto", "someone")

    outcome = gate.promote(register(name, good()), "auto", "someone")

    assert not outcome.promoted
    assert "version 1 takes other columns" in outcome.reason


def test_a_champion_that_is_lost_is_not_replaced_unasked(name, held_out, tracking, s3):
    gate = Gate(name, "champion", held_out.comparing(name))
    gate.promote(register(name, good()), "auto", "someone")
    client = s3.client()
    for stored in client.list_objects_v2(Bucket=tracking.bucket)["Contents"]:
        if stored["Key"].endswith("model.skops"):
            client.delete_object(Bucket=tracking.bucket, Key=stored["Key"])
    candidate = register(name, good())

    refused = gate.promote(candidate, "auto", "someone")
    forced = gate.promote(candidate, "always", "someone")

    assert not refused.promoted
    assert "version 1 cannot be loaded or asked" in refused.reason
    assert "promote=always" in refused.reason
    assert "\n" not in refused.reason
    assert forced.promoted
    assert gate.holder() == candidate


def test_an_alias_that_moves_during_the_comparison_is_compared_with_anew(name, held_out):
    class Overtaken(Gate):
        """Another promotion ends while this one has just compared."""

        overtaken = False

        def judge(self, candidate, incumbent, mode):
            outcome = super().judge(candidate, incumbent, mode)
            if not self.overtaken:
                self.overtaken = True
                Gate(name, "champion", held_out.comparing(name)).promote("2", "auto", "another")
            return outcome

    register(name, bad())
    register(name, good())
    register(name, bad())
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")

    outcome = Overtaken(name, "champion", held_out.comparing(name)).promote("3", "auto", "someone")

    assert not outcome.promoted
    assert outcome.reason.startswith("worse than version 2")
    assert mlflow.MlflowClient().get_model_version_by_alias(name, "champion").version == "2"


def test_of_two_promotions_at_the_same_moment_the_better_model_stays(name, held_out):
    judged = threading.Barrier(2)

    class Simultaneous(Gate):
        """Both are found good enough before either has moved the alias."""

        def move(self, version, by):
            judged.wait(timeout=60)
            super().move(version, by)

    versions = [register(name, model) for model in (bad(), good(), bad())]
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", versions[0])
    outcomes = {}

    def promote(version):
        gate = Simultaneous(name, "champion", held_out.comparing(name))
        outcomes[version] = gate.promote(version, "auto", "someone")

    threads = [threading.Thread(target=promote, args=[version]) for version in versions[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert mlflow.MlflowClient().get_model_version_by_alias(name, "champion").version == "2"
    assert outcomes["2"].promoted
    assert "promoted_at" in tags(name, "2")


@pytest.mark.parametrize("tagged", ["before the look", "after the look"])
def test_a_rival_that_moves_the_alias_after_the_look_is_settled_with(name, held_out, tagged):
    for model in (bad(), good(), bad()):
        register(name, model)
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
    rival = Gate(name, "champion", held_out.comparing(name))

    class Followed(Gate):
        """A rival follows that was found good enough before this one moved the alias."""

        followed = False

        def move(self, version, by):
            super().move(version, by)
            if tagged == "before the look":
                self.registry.set_model_version_tag(name, "3", "promoted_at", "now")

        def settle(self, candidate, rivals):
            best = super().settle(candidate, rivals)
            if not self.followed:
                self.followed = True
                rival.move("3", "another")
            return best

    outcome = Followed(name, "champion", held_out.comparing(name)).promote("2", "auto", "someone")

    assert outcome.promoted
    assert rival.settled("3", known={"1"}) == "2"
    assert "promoted_at" in tags(name, "2")


def test_a_simultaneous_rival_that_cannot_be_compared_does_not_win(name, held_out):
    candidate, rival = register(name, good()), register(name, good(), split=Split(0.001, 2))
    gate = Gate(name, "champion", held_out.comparing(name))

    gate.settle(candidate, {rival})

    assert gate.holder() == candidate
