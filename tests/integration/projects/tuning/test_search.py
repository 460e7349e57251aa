"""A search by `mlflow run`, against a real tracking server: recorded, killed, gone on with."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pandas as pd
import psutil
import pytest

from common.errors import BadInput
from harness.processes import Process
from harness.projects import Runs
from harness.serving import ModelServer, assert_error
from host.paths import ROOT
from tune import main
from tuning import Settings, tune

TRIALS = 6
PENGUINS = str(ROOT / "projects" / "tuning" / "data" / "penguins.csv")


@pytest.fixture(scope="module")
def runs(tracking, tmp_path_factory):
    return Runs(tracking.uri, tmp_path_factory.mktemp("project"), "tuning")


@pytest.fixture(scope="module")
def first(runs):
    """What came of the first search, which registers version 1 of `penguins`."""
    return runs.run("search", trials=TRIALS)


def begin(runs, experiment, folder, **parameters):
    """`mlflow run` in a process group of its own, as in a terminal."""
    command = runs.command(experiment, **parameters)
    return Process(command, runs.environment, folder / "output.txt")


def search(experiment, **parameters):
    """The same in this process, which spares seconds of imports; the summary it prints."""
    defaults = {option.name: option.default for option in main.params}
    mlflow.set_experiment(experiment)
    return tune(Settings(**{**defaults, "data": PENGUINS, **parameters}))


def below(runs, experiment, kind):
    """The runs of a kind ("trial" or "attempt") in an experiment, oldest first."""
    record = runs.client.get_experiment_by_name(experiment)
    if not record:
        return []
    every = runs.client.search_runs([record.experiment_id], order_by=["attributes.start_time"])
    return [run for run in every if kind in run.data.tags]


def parent(runs, experiment):
    record = runs.client.get_experiment_by_name(experiment)
    every = runs.client.search_runs([record.experiment_id])
    (run,) = [run for run in every if "study.fingerprint" in run.data.tags]
    return run


def statuses(every):
    return [run.info.status for run in every]


def numbers(every, status="FINISHED"):
    return sorted(int(run.data.tags["trial"]) for run in every if run.info.status == status)


def finished(runs, experiment, least):
    """Ids of the finished trials, once there are `least`."""
    trials = below(runs, experiment, "trial")
    done = {run.info.run_id for run in trials if run.info.status == "FINISHED"}
    return done if len(done) >= least else None


def test_a_search_is_a_parent_with_a_child_for_each_trial(runs, first):
    status, output, search = first
    trials = below(runs, "search", "trial")

    assert status == 0, output
    assert "Traceback" not in output
    assert search.info.status == "FINISHED"
    assert search.data.params["target"] == "body_mass_g"
    assert numbers(trials) == list(range(TRIALS))
    for run in trials:
        assert run.data.tags["mlflow.parentRunId"] == search.info.run_id
        assert run.data.params.keys() == {"C", "gamma", "epsilon"}
        assert run.data.metrics.keys() == {"rmse", "rmse_fold", "seconds"}
    folds = runs.client.get_metric_history(trials[0].info.run_id, "rmse_fold")
    assert [fold.step for fold in folds] == [0, 1, 2, 3, 4]
    best = min(run.data.metrics["rmse"] for run in trials)
    assert search.data.metrics["best_rmse"] == best < 320
    assert output.count("\ntrial ") == TRIALS
    assert f"rmse {best:.4f} with C=" in output
    files = {file.path for file in runs.client.list_artifacts(search.info.run_id)}
    assert files == {"search.png", "trials.csv"}
    text = mlflow.artifacts.load_text(f"runs:/{search.info.run_id}/trials.csv")
    assert pd.read_csv(io.StringIO(text))["rmse"].min() == best


def test_autologging_records_the_fit_and_the_model_is_logged_once(runs, first):
    (attempt,) = below(runs, "search", "attempt")

    assert attempt.data.params["trials"] == str(TRIALS)
    assert "model__regressor__C" in attempt.data.params  # by autologging, as these
    assert {"training_mean_absolute_error", "training_r2_score"} < attempt.data.metrics.keys()
    assert {"rmse", "mae", "r2"} < attempt.data.metrics.keys()
    assert attempt.data.metrics["r2"] > 0.8
    contexts = {tag.value for entry in attempt.inputs.dataset_inputs for tag in entry.tags}
    assert contexts == {"training", "test"}
    assert len(attempt.outputs.model_outputs) == 1
    version = runs.client.get_model_version_by_alias("penguins", "champion")
    assert (version.version, version.run_id) == ("1", attempt.info.run_id)
    assert "promotion  promoted: there was no champion yet" in first[1]


@pytest.mark.usefixtures("first")
def test_a_finished_search_repeated_runs_nothing_and_more_trials_are_added(runs):
    summary = search("search", trials=TRIALS)

    assert f"0 new, {TRIALS} from before" in summary
    assert "penguins version 1\n" in summary
    assert len(below(runs, "search", "trial")) == TRIALS
    assert len(runs.client.search_model_versions("name = 'penguins'")) == 1

    summary = search("search", trials=TRIALS + 2, promote="never")

    assert f"2 new, {TRIALS} from before" in summary
    assert "penguins version 2\n" in summary
    assert numbers(below(runs, "search", "trial")) == list(range(TRIALS + 2))
    every = [parent(runs, "search"), *below(runs, "search", "attempt")]
    assert statuses(every) == ["FINISHED"] * 4


def test_a_killed_search_goes_on_with_what_is_missing(runs, tmp_path):
    parameters = {"trials": 10, "model_name": "killed"}
    with begin(runs, "killed", tmp_path, **parameters) as process:
        process.wait_for(lambda: finished(runs, "killed", 3), 120, "three trials")
        process.kill()
    kept = finished(runs, "killed", 3)
    assert len(kept) < 10, "killed too late"
    assert parent(runs, "killed").info.status == "RUNNING"  # as a kill leaves it

    summary = search("killed", **parameters)

    trials = below(runs, "killed", "trial")
    # A request that it had sent when it was killed may have been served after that.
    said = re.search(r"(\d+) new, (\d+) from before; 0 of all failed", summary)
    new, old = map(int, said.groups())
    assert old >= len(kept)
    assert new == 10 - old
    assert numbers(trials) == list(range(10))  # each once
    assert kept <= {run.info.run_id for run in trials if run.info.status == "FINISHED"}
    assert set(statuses(trials)) <= {"FINISHED", "KILLED"}
    assert len(trials) <= 10 + 2  # as many as are worked on at once
    assert parent(runs, "killed").info.status == "FINISHED"
    assert statuses(below(runs, "killed", "attempt")) == ["KILLED", "FINISHED"]
    assert runs.client.get_model_version_by_alias("killed", "champion").version == "1"


def kill_a_trial(process):
    """Kill a process that computes a trial; false while there is none."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # they end all the time
            if child.parent() and child.cmdline() == child.parent().cmdline():
                child.kill()
                return True
    return False


@pytest.fixture(scope="module")
def endless(runs, tmp_path_factory):
    """A search that works all the while, as a command in a terminal."""
    log = tmp_path_factory.mktemp("endless") / "output.txt"
    environment = {**runs.environment, "MLFLOW_EXPERIMENT_NAME": "endless"}
    command = [sys.executable, "tune.py", "--trials", "1000", "--model-name", "endless"]
    command = ["bash", "-c", f"cd {runs.project} && exec {shlex.join(command)}"]
    with Process(command, environment, log) as process:
        process.wait_for(lambda: finished(runs, "endless", 1), 120, "a trial")
        yield process


def test_a_trial_whose_process_dies_fails_alone(runs, endless):
    def failed():
        for run in below(runs, "endless", "trial"):
            if run.info.status == "FAILED":
                return run
        endless.wait_for(lambda: kill_a_trial(endless), 20, "a trial's process to kill")
        return None

    run = endless.wait_for(failed, 30, "a failed trial")

    assert run.data.tags["failure"] == "the trial's process ended with status -9"
    so_far = len(finished(runs, "endless", 1))
    endless.wait_for(lambda: finished(runs, "endless", so_far + 1), 20, "another trial")


def test_a_second_command_on_a_search_that_is_worked_on_is_refused(runs, endless):
    with pytest.raises(BadInput, match=r"works on 'body_mass_g-.* right now") as refusal:
        search("endless", trials=1000)

    now = parent(runs, "endless")
    assert now.data.tags["study.attempt"] in refusal.value.message
    assert now.info.status == "RUNNING"
    so_far = len(finished(runs, "endless", 1))
    endless.wait_for(lambda: finished(runs, "endless", so_far + 1), 60, "another trial")


def test_ctrl_c_ends_all_runs_and_says_how_to_go_on(runs, endless):
    os.killpg(endless.pid, signal.SIGINT)

    assert endless.wait(60) == 130
    assert endless.text().rstrip().endswith("the same command goes on from there")
    assert "Traceback" not in endless.text()
    assert parent(runs, "endless").info.status == "KILLED"
    assert statuses(below(runs, "endless", "attempt")) == ["KILLED"]
    assert "RUNNING" not in statuses(below(runs, "endless", "trial"))
    assert "endless" not in {model.name for model in runs.client.search_registered_models()}


def test_raw_rows_with_gaps_are_served_as_the_model_alone_answers(tracking, first, tmp_path):
    assert first[0] == 0
    model = mlflow.pyfunc.load_model("models:/penguins/1")
    raw = {
        "species": "Adelie",
        "island": "Biscoe",
        "bill_length_mm": 39.1,
        "bill_depth_mm": 18.7,
        "flipper_length_mm": 181,
        "sex": "male",
    }
    gaps = [
        raw,
        {**raw, "bill_length_mm": None},
        {**raw, "sex": None},
        {**raw, "species": "Rockhopper"},  # never seen
        dict.fromkeys(raw),
    ]
    frames = [pd.DataFrame([row]).astype(TYPES) for row in gaps]
    alone = [float(model.predict(frame)[0]) for frame in frames]
    server = ModelServer(
        tmp_path, MLFLOW_TRACKING_URI=tracking.uri, SERVING_MODELS="penguins/1"
    ).start()
    try:
        one_by_one = [ask(server, [row])[0] for row in gaps]
        with ThreadPoolExecutor(8) as threads:  # waiting requests are merged
            at_once = list(threads.map(lambda row: ask(server, [row])[0], gaps * 8))
        together = ask(server, gaps)
        without = {name: value for name, value in raw.items() if name != "sex"}
        refusal = server.ask({"dataframe_records": [without]}, "penguins")
        state = server.model("penguins")
    finally:
        server.stop()

    assert all(2500 < grams < 6500 for grams in alone)
    assert len(set(alone)) == len(gaps)
    assert one_by_one == pytest.approx(alone, rel=1e-9)
    assert at_once == pytest.approx(alone * 8, rel=1e-9)
    assert together == pytest.approx(alone, rel=1e-9)
    assert "sex" in assert_error(refusal, 400)
    assert (state["environment"], state["batching"]) == (None, True)
    # Texts are the only thing that MLflow reads in ways that people do not expect.
    assert [warning.partition(":")[0] for warning in state["warnings"]] == ["texts"]


TYPES = {
    "bill_length_mm": "float64",
    "bill_depth_mm": "float64",
    "flipper_length_mm": "float64",
}


def ask(server, rows):
    answer = server.ask({"dataframe_records": rows}, "penguins")
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


@pytest.mark.usefixtures("first")
def test_what_it_prints_can_be_asked_and_the_example_has_gaps(first):
    (line,) = (line for line in first[1].splitlines() if line.startswith("try it"))
    request = json.loads(shlex.split(line.removeprefix("try it"))[-1])["dataframe_split"]

    model = mlflow.pyfunc.load_model("models:/penguins/1")

    assert None in request["data"][0]
    assert 2500 < model.predict(pd.DataFrame(**request)).tolist()[0] < 6500
    assert model.input_example.isna().to_numpy().any()
    assert model.metadata.flavors["sklearn"]["serialization_format"] == "skops"
    types = {column.name: column.type.name for column in model.metadata.get_input_schema()}
    assert set(types.values()) == {"string", "double"}
    assert types["flipper_length_mm"] == "double"


def test_labels_are_classified(runs):
    summary = search("labels", trials=3, target="species", model_name="species")

    assert "best       trial" in summary
    run = parent(runs, "labels")
    assert run.data.params["kind"] == "classification"
    assert run.data.metrics["best_accuracy"] > 0.95
    raw = {"island": "Biscoe", "bill_length_mm": 50.0, "bill_depth_mm": None}
    raw |= {"flipper_length_mm": 222.0, "body_mass_g": 5500.0, "sex": None}
    model = mlflow.pyfunc.load_model("models:/species@champion")
    assert model.predict(pd.DataFrame([raw]).astype({"bill_depth_mm": float})) == ["Gentoo"]


def test_a_name_stands_for_one_search(runs):
    search("named", trials=1, study="mine", model_name="named")

    with pytest.raises(BadInput, match="'mine' searches other data, another target"):
        search("named", trials=1, study="mine", target="species", model_name="named")
    assert parent(runs, "named").info.status == "FINISHED"


def test_bad_input_fails_the_run_and_nothing_is_registered(runs):
    with pytest.raises(BadInput, match=r"no file 'nowhere\.csv'") as refusal:
        search("bad search", data="nowhere.csv", model_name="bad")

    (run,) = runs.client.search_runs(
        [runs.client.get_experiment_by_name("bad search").experiment_id]
    )
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == refusal.value.message
    assert "bad" not in {model.name for model in runs.client.search_registered_models()}


def test_when_all_trials_fail_the_search_does_and_nothing_is_registered(runs, tmp_path):
    huge = tmp_path / "huge.csv"  # its variance is beyond all floating-point numbers
    huge.write_text("x,y\n" + "".join(f"{(-1) ** i}e{300 + i % 9},{i}\n" for i in range(100)))

    with pytest.raises(BadInput, match="all 2 trials failed"):
        search("huge", data=str(huge), target="y", trials=2, model_name="bad")

    trials = below(runs, "huge", "trial")
    assert parent(runs, "huge").info.status == "FAILED"
    assert statuses(trials) == ["FAILED"] * 2
    assert "ValueError" in trials[0].data.tags["failure"]
    assert "bad" not in {model.name for model in runs.client.search_registered_models()}
