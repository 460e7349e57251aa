"""The life of models on real tracking servers, by the commands as a user gives them."""

import re

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from common.promotion import Gate
from measures import CLASSIFIER, METRICS, REGRESSOR
from tests.integration.projects.registry.desk import ROWS, TRUE, exact, good, promote, worse

COUNTS = {
    "example_count",
    "false_negatives",
    "false_positives",
    "mean_on_target",
    "score",
    "sum_on_target",
    "true_negatives",
    "true_positives",
}
"""What MLflow's evaluation gives beside the metrics that can decide."""


def test_a_life(sit, tracking):
    desk = sit(tracking)
    name, errors = desk.name, ["--metric", "mean_absolute_error"]

    assert desk.done("create", name, "--description", "twice as much") == f"{name} is registered\n"
    assert desk.done("create", name) == f"{name} exists already\n"
    assert "no versions yet" in desk.done("show", name)
    first, second = desk.version(*worse()), desk.version(*exact())
    assert (first, second) == ("1", "2")
    desk.done("tag", name, "team", "cellar")
    desk.done("tag", name, "checked", "yes", "--version", 1)
    desk.done("describe", name, "the first", "--version", 1)
    desk.done("describe", name, "doubles")

    assert "there was no champion yet" in desk.done(*promote(desk, 1, *errors))
    said = desk.done(*promote(desk, 2, *errors))
    assert re.search(
        r"at least as good as version 1: mean_absolute_error \S+ against \S+ on 40", said
    )
    assert f"champion of {name} is version 2" in said
    assert "/models/" in said.splitlines()[-1]
    assert desk.done("alias", name, "candidate", 1).startswith(f"candidate of {name} is version 1")

    shown = desk.done("show", name)
    assert re.search(r"^description +doubles$", shown, re.MULTILINE)
    assert re.search(r"^aliases +candidate -> 1, champion -> 2$", shown, re.MULTILINE)
    assert re.search(r"^tags +team=cellar$", shown, re.MULTILINE)
    assert re.search(r"^2 +champion +20\S+ \S+ +\w{8} +fitted=1 +\S", shown, re.MULTILINE)
    detail = desk.done("show", name, "candidate")
    assert re.search(r"^description +the first$", detail, re.MULTILINE)
    assert re.search(r"^tag checked +yes$", detail, re.MULTILINE)
    assert re.search(
        rf"^{name} +2 +candidate -> 1, champion -> 2 ", desk.done("list"), re.MULTILINE
    )

    assert desk.done("rollback", name) == f"champion of {name} is version 1 again; version 2 was\n"
    assert desk.holder() == "1"
    assert {"champion.rolled_back_by", "champion.rolled_back_at"} < desk.tags("2").keys()

    answers = desk.done("predict", f"models:/{name}@champion", "--data", desk.table(TRUE))
    model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    printed = [float(line) for line in answers.splitlines()[1:]]
    assert printed == pytest.approx(model.predict(ROWS).tolist())

    target = f"{name}-production"
    copied = f"version 1 of {target} is a copy of {name} version 2"
    assert desk.done("copy", f"{name}/2", target) == f"{copied}\n"
    assert desk.done("copy", f"models:/{name}/2", target) == f"{copied} already\n"
    desk.done("delete", name, 2)
    desk.done("delete-model", name, "--force")
    assert "no model" in desk.refused("show", name)
    output = desk.folder / "out.csv"
    said = desk.done("predict", f"{target}/1", "--data", desk.table(TRUE), "--output", output)
    assert said == f"40 predictions of models:/{target}/1 are in {output}\n"
    assert pd.read_csv(output)["prediction"].tolist() == pytest.approx(TRUE.tolist())


def test_a_worse_version_is_not_promoted_which_is_an_error(desk):
    best, worst = desk.version(*exact()), desk.version(*worse())
    desk.done(*promote(desk, best, "--metric", "r2_score"))

    for metric in ("r2_score", "mean_absolute_error", "max_error"):
        why = desk.refused(*promote(desk, worst, "--metric", metric))
        assert f"{desk.name} version 2 is not promoted: worse than version 1: {metric} " in why
        assert why.endswith("champion stays version 1")

    assert desk.holder() == best
    assert desk.tags(worst)["promotion"].startswith("worse than version 1: max_error")
    assert "promoted_at" not in desk.tags(worst)
    run = mlflow.search_runs(output_format="list", filter_string="tags.failure LIKE '%max_error%'")
    assert run[0].info.status == "FAILED"
    assert "promote=always" in desk.done(*promote(desk, worst, "--promote", "always"))
    assert desk.holder() == worst


def test_an_equal_version_is_promoted_even_at_an_error_of_nothing(desk):
    table = desk.table(np.zeros(len(ROWS)))
    for _ in range(2):
        version = desk.version(good(), np.zeros(len(ROWS)))
        asked = ("promote", desk.name, version, "--data", table, "--target", "y")
        assert "promoted: " in desk.done(*asked, "--metric", "max_error")

    assert desk.holder() == "2"
    assert desk.done(*asked) == f"champion of {desk.name} is version 2 already\n"


def test_a_limit_holds_where_there_is_nothing_to_compare_with(desk):
    version = desk.version(*worse())

    why = desk.refused(*promote(desk, version, "--metric", "max_error", "--min", "0.5"))
    assert re.search(r"max_error \S+ is above the limit of 0.5; there is no champion$", why)
    why = desk.refused(*promote(desk, version, "--metric", "r2_score", "--min", "0.9999"))
    assert re.search(r"r2_score \S+ is below the limit of 0.9999; there is no champion$", why)

    assert desk.holder() is None
    desk.done(*promote(desk, version, "--metric", "r2_score", "--min", "0.5"))
    assert desk.holder() == version


def test_classifiers_are_compared_and_each_evaluation_is_a_run(desk):
    kinds = np.where(ROWS["a"] < 20, "low", "high")
    desk.version(DummyClassifier(strategy="constant", constant="low"), kinds)
    desk.version(LogisticRegression(), kinds)
    table = desk.table(kinds)

    said = desk.done("compare", desk.name, 1, 2, "--data", table, "--target", "y")

    assert re.search(r"^as +classifier$", said, re.MULTILINE)
    assert re.search(r"^accuracy_score +0.5 +1 +version 2$", said, re.MULTILINE)
    assert re.search(r"^log_loss +\S+ +\S+ +version 2$", said, re.MULTILINE)
    parent = re.search(r"/runs/(\w{32})$", said, re.MULTILINE)[1]
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent}'", output_format="list"
    )
    assert {run.info.run_name for run in children} == {
        f"{desk.name} version {number}" for number in (1, 2)
    }
    assert {run.data.metrics["accuracy_score"] for run in children} == {0.5, 1.0}


def test_the_metrics_are_those_that_mlflow_gives(desk):
    for model, answers, kind, expected in (
        (LogisticRegression(), np.arange(40) % 2, "classifier", CLASSIFIER),
        (LinearRegression(), TRUE, "regressor", REGRESSOR),
    ):
        version = desk.version(model, answers)
        with mlflow.start_run():
            result = mlflow.models.evaluate(
                f"models:/{desk.name}/{version}",
                ROWS.assign(y=answers),
                targets="y",
                model_type=kind,
                evaluator_config={"log_model_explainability": False},
            )
        assert result.metrics.keys() - COUNTS == set(expected)
    assert set(METRICS) == {*CLASSIFIER, *REGRESSOR}


def test_what_cannot_be_measured_is_not_promoted(desk):
    desk.version(*exact())
    foreign = desk.version(good(), TRUE, ROWS.rename(columns={"b": "c"}))
    kinds = desk.version(LogisticRegression(), np.arange(40) % 2)

    why = desk.refused(*promote(desk, foreign, "--metric", "max_error"))
    assert "version 2 takes a column 'c', which the data do not have; there is no champion" in why
    why = desk.refused(*promote(desk, kinds))
    assert "version 3 cannot be evaluated: " in why
    desk.done("alias", desk.name, "champion", foreign)
    why = desk.refused(*promote(desk, 1, "--metric", "max_error"))
    assert "version 2 takes a column 'c'" in why
    assert "promote=always replaces it" in why
    why = desk.refused("compare", desk.name, 1, 2, "--data", desk.table(TRUE), "--target", "y")
    assert "takes a column 'c'" in why


def test_who_asks_for_what_is_not_there_is_told_what_is(desk):
    name, table = desk.name, desk.table(TRUE)
    run_id = desk.logged(*exact())
    desk.done("register", name, run_id)
    desk.done("alias", name, "challenger", 1)
    whole = ("--data", table, "--target", "y")

    versions = f"{name} has no version or alias '7'; its versions: 1; its aliases: challenger"
    for asked in (
        ("show", name, 7),
        ("describe", name, "text", "--version", 7),
        ("tag", name, "key", "value", "--version", 7),
        ("alias", name, "champion", 7),
        ("promote", name, 7, *whole),
        ("compare", name, 1, 7, *whole),
        ("predict", f"{name}/7", "--data", table),
        ("predict", f"{name}@7", "--data", table),
        ("copy", f"models:/{name}/7", f"{name}-copy"),
        ("delete", name, 7),
    ):
        assert desk.refused(*asked) == versions, asked
    for number in ("0", "-1", "1.0", "9" * 20, "\u0661"):
        assert f"no version or alias '{number}'" in desk.refused("show", "--", name, number)
    for asked in (("show", "nobody"), ("rollback", "nobody"), ("delete-model", "nobody")):
        assert desk.refused(*asked).startswith("no model 'nobody' in the registry; its models: ")
        assert name in desk.refused(*asked)
    aliases = f"no version of {name} has the alias 'champion'; its aliases: challenger"
    assert desk.refused("rollback", name) == aliases
    assert desk.refused("unalias", name, "champion") == aliases
    assert desk.refused("untag", name, "key") == f"{name} has no tag 'key'; its tags: none"
    assert "the latest runs: " in desk.refused("register", name, "0" * 32)
    assert "the latest runs: " in desk.refused("register", name, "no run/at all")
    other = desk.refused("register", name, run_id, "--model", "forest")
    assert other == f"run {run_id} has logged no model 'forest'; its models: model"
    assert "is neither models:/NAME@ALIAS nor" in desk.refused("predict", name, "--data", table)
    metric = desk.refused("promote", name, 1, *whole, "--metric", "accuracy")
    assert metric.startswith("metric: no 'accuracy'; classifiers have accuracy_score, ")
    assert "mean_absolute_error" in metric
    column = desk.refused("promote", name, 1, "--data", table, "--target", "z")
    assert column.startswith("target: no column 'z' in ")
    assert column.endswith("its columns: a, b, y")
    assert desk.refused("copy", f"{name}/1", name).endswith("cannot be copied to its own name")
    assert "alias" in desk.refused("alias", name, "latest", 1).lower()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file"),
        (b"", "is empty|No columns"),
        (b"a,b,y\n", "has no rows"),
        (b"\x89PNG\r\n\x00\xff", "cannot be read"),
        (b"a,b,y\n1,2,3,4,5\n6,7,8\n1\n", "takes a column|cannot be|label in row"),
        (b"y\n1\n", "no column besides 'y'|takes a column 'a'"),
        (b"a,b,y\nx,y,z\n", "version 1|cannot be loaded or asked"),
        (b'a,b,y\n1,2,"3', "cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_refused(desk, content, words):
    desk.version(*exact())
    path = desk.folder / "given.csv"
    if content is not None:
        path.write_bytes(content)
    whole = ("--data", path, "--target", "y")

    for asked in (
        ("promote", desk.name, 1, *whole, "--metric", "max_error"),
        ("compare", desk.name, 1, 1, *whole, "--kind", "regressor"),
        ("predict", f"{desk.name}/1", "--data", path),
    ):
        assert re.search(words, desk.refused(*asked)), asked


def test_rolling_back_goes_by_what_was_before_and_never_to_and_fro(desk):
    for _ in range(4):
        desk.version(*exact())
    always = ("--promote", "always")
    desk.done(*promote(desk, 1, *always))
    desk.done(*promote(desk, 3, *always, "--alias", "challenger"))
    desk.done(*promote(desk, 2, *always))
    desk.done("alias", desk.name, "champion", 4)

    went = []
    for _ in range(2):
        desk.done("rollback", desk.name)
        went.append(desk.holder())

    assert went == ["2", "1"]  # 3 was never champion
    why = desk.refused("rollback", desk.name)
    assert f"no version of {desk.name} is known to have been champion before version 1" in why
    assert desk.holder("challenger") == "3"


def test_a_version_that_was_rolled_back_is_not_gone_back_to(desk):
    for _ in range(3):
        desk.version(*exact())
    for version in (1, 3, 1):
        desk.done("alias", desk.name, "champion", version)

    desk.done("rollback", desk.name)
    assert desk.holder() == "3"
    assert "before version 3" in desk.refused("rollback", desk.name)

    for version in (1, 2):  # once set anew, it can be gone back to
        desk.done("alias", desk.name, "champion", version)
    desk.done("rollback", desk.name)
    assert desk.holder() == "1"


def test_each_alias_is_rolled_back_by_itself(desk):
    for version in (1, 2, 3):
        desk.version(*exact())
        desk.done("alias", desk.name, "champion", version)
    for version in (1, 2):
        desk.done("alias", desk.name, "staging", version)

    desk.done("rollback", desk.name, "--alias", "staging")
    desk.done("rollback", desk.name)

    assert (desk.holder("staging"), desk.holder()) == ("1", "2")


def test_rolling_back_what_other_gates_promoted_goes_by_when(desk):
    def compare(*_):
        raise AssertionError("not asked")

    for _ in range(3):
        desk.version(*exact())
    gate = Gate(desk.name, "champion", compare)
    for version, moment in (("1", "2026-01-01"), ("3", "2026-01-02"), ("2", "2026-01-03")):
        gate.promote(version, "always", "someone")
        stamp = f"{moment}T00:00:00+00:00"
        desk.client.set_model_version_tag(desk.name, version, "promoted_at", stamp)

    desk.done("rollback", desk.name)
    assert desk.holder() == "3"
    desk.client.delete_model_version(desk.name, "1")
    assert "before version 3" in desk.refused("rollback", desk.name)


def test_a_version_before_that_is_deleted_is_passed_over(desk):
    for version in (1, 2, 3):
        desk.version(*exact())
        desk.done("alias", desk.name, "staging", version)
    desk.client.set_model_version_tag(desk.name, "1", "promoted_at", "2026-01-01T00:00:00+00:00")
    desk.done("delete", desk.name, 2)

    desk.done("rollback", desk.name, "--alias", "staging")

    assert desk.holder("staging") == "1"


def test_a_copy_has_no_history_of_its_own(desk):
    desk.version(*exact())
    desk.version(*exact())
    for version in (1, 2):
        desk.done(*promote(desk, version, "--promote", "always"))
    desk.done("tag", desk.name, "team", "cellar", "--version", 2)
    target = f"{desk.name}-production"

    desk.done("copy", f"{desk.name}@champion", target)

    assert desk.tags("1", target) == {"team": "cellar", "copied_from": f"{desk.name}/2"}


def test_what_carries_an_alias_is_not_deleted_unless_forced(desk):
    for _ in range(3):
        desk.version(*exact())
    desk.done("alias", desk.name, "champion", 1)
    desk.done("alias", desk.name, "blue", 2)

    assert "version 1 carries the alias champion, which the model server follows" in (
        desk.refused("delete", desk.name, 1)
    )
    why = desk.refused("delete", desk.name, "blue")
    assert why == (
        f"version 2 of {desk.name} is not deleted: version 2 carries the alias blue; "
        "--force true deletes it anyway"
    )
    why = desk.refused("delete-model", desk.name)
    assert "alias blue" in why
    assert "alias champion" in why
    said = desk.done("delete", desk.name, 3)
    assert f"version 3 of {desk.name} is deleted (no model server answers at " in said
    assert desk.done("delete", desk.name, 2, "--force") == f"version 2 of {desk.name} is deleted\n"
    assert desk.holder("blue") is None
    desk.done("unalias", desk.name, "champion")
    assert f"{desk.name} is deleted, with 1 versions" in desk.done("delete-model", desk.name)


def test_the_same_model_of_a_run_is_registered_once(desk):
    run_id = desk.logged(*exact())

    said = [desk.done("register", desk.name, run_id) for _ in range(2)]

    assert said[0] == f"version 1 of {desk.name} is the model model of run {run_id}\n"
    assert said[1] == f"version 1 of {desk.name} is the model model of run {run_id} already\n"


def test_a_registry_that_does_not_answer_is_said_in_one_line(desk):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    desk.monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    desk.monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    assert "127.0.0.1" in desk.refused("list")
