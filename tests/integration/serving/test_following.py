"""The server does what the registry says, and no client notices how."""

import time
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from harness.load import Load
from harness.serving import ModelServer, assert_error
from tests.integration.serving.models import act

SERVED_WITHIN = 5
"""Seconds from the alias to the first answer; 2 on an idle machine."""


def answer_of(server, name: str):
    answer = server.ask(act("answer"), name)
    return answer.json()["predictions"][0] if answer.status_code == 200 else None


def wait_for_answer(server, name: str, expected: object, timeout: float = 30) -> None:
    server.wait_for(
        lambda: answer_of(server, name) == expected, timeout, f"{name} answering {expected}"
    )


def test_promotion_and_rollback_under_load(following, shelf, models, record_property):
    first = shelf.publish("busy", models.chameleon_with(answer=1))
    second = shelf.publish("busy", models.chameleon_with(answer=2))
    shelf.promote("busy", first)
    wait_for_answer(following, "busy", 1)
    old = []
    with Load(f"{following.url}/models/busy/invocations", act("answer")) as load:
        for version in (second, first, second):
            old += following.model("busy")["workers"]
            since = time.monotonic()
            shelf.promote("busy", version)
            took = following.wait_for(
                lambda version=version, since=since: load.first(version, since),
                30,
                f"version {version}",
            )
            record_property("seconds_to_serve", round(took, 2))
            print(f"version {version} served after {took:.2f} s")
            assert took < SERVED_WITHIN
    assert not load.failures()
    right = {first: [1], second: [2]}
    assert all(sample.prediction == right[sample.version] for sample in load.samples)
    following.wait_for(lambda: not any(map(psutil.pid_exists, old)), 20, "old workers to end")
    following.wait_for(lambda: not series(following, "busy", first), 20, "their series to go")
    assert series(following, "busy", second) >= {"model_server_queue_requests"}


def test_first_promotion_on_a_fresh_server(
    local_tracking, shelf, models, tmp_path, record_property
):
    """What the imports take is over before there is anything to load."""
    version = shelf.publish("newborn", models.chameleon_with(answer=1))
    server = ModelServer(tmp_path, MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS="newborn")
    with server.process:
        server.wait_for(lambda: server.log_lines("libraries imported"), 90, "the imports")
        assert server.model("newborn")["state"] == "missing"
        with Load(f"{server.url}/models/newborn/invocations", act("answer"), clients=1) as load:
            since = time.monotonic()
            shelf.promote("newborn", version)
            took = server.wait_for(lambda: load.first(version, since), 30, "the first answer")
        record_property("seconds_to_serve", round(took, 2))
        print(f"first version served after {took:.2f} s")
        assert took < SERVED_WITHIN


def series(server, name: str, version: str) -> set[str]:
    """Names of the metrics that a version has, but for the one that says what is wanted."""
    lines = server.http.get("/metrics").text.splitlines()
    marks = (f'model="{name}"', f'version="{version}"')
    names = {line.partition("{")[0] for line in lines if all(mark in line for mark in marks)}
    return names - {"model_server_wanted_info"}


def workers(server) -> list:
    """Processes with a process group of their own: workers, and the one they are forked from."""
    return [child for child in server.family() if is_worker(server, child)]


def is_worker(server, child) -> bool:
    return any(child.pid in model.get("workers", []) for model in served(server))


def served(server) -> list[dict]:
    return server.http.get("/models").json()["models"]


@pytest.mark.parametrize("fails", ["load", "load-crash", "warm-up"])
def test_broken_version_never_replaces_one_that_works(following, shelf, models, fails):
    name = f"fragile-{fails}"
    good = shelf.publish(name, models.chameleon_with(answer=1))
    shelf.promote(name, good)
    wait_for_answer(following, name, 1)
    bad = shelf.publish(name, models.chameleon_with(fails=fails))
    shelf.promote(name, bad)
    following.wait_for(lambda: following.model(name)["state"] == "failed", 30, "the refusal")
    entry = following.model(name)
    assert (entry["version"], entry["wanted_version"]) == (good, bad)
    assert {
        "load": "RuntimeError: weights are missing in ",
        "load-crash": "exit code 7",
        "warm-up": "its own input example gets a 400: The model raised RuntimeError: a bug",
    }[fails] in entry["problem"]
    assert "/tmp" not in entry["problem"]
    assert answer_of(following, name) == 1
    assert f'model_server_load_failures_total{{model="{name}",stage="load"}} 1.0' in (
        following.http.get("/metrics").text
    )
    assert any(line["model"] == name for line in following.log_lines("version refused"))
    assert not series(following, name, bad)
    shelf.promote(name, good)
    following.wait_for(lambda: following.model(name)["problem"] is None, 10, "the way back")


def test_version_whose_example_fails_is_served_where_it_replaces_nothing(following, shelf, models):
    for fails in ("warm-up", "warm-up-crash"):
        shelf.promote(fails, shelf.publish(fails, models.chameleon_with(fails=fails)))
    for fails, reason in {
        "warm-up": "its own input example gets a 400: The model raised RuntimeError: a bug",
        "warm-up-crash": "its process died while answering its own input example (exit code 7)",
    }.items():
        following.wait_for(lambda name=fails: following.model(name).get("workers"), 30, fails)
        entry = following.model(fails)
        assert (entry["state"], entry["problem"]) == ("serving", None)
        assert f"not warmed up: {reason}" in entry["warnings"]
    assert following.ask(act("process"), "warm-up").status_code == 400
    assert following.ask(act("process"), "warm-up-crash").json()["predictions"] == [
        *following.model("warm-up-crash")["workers"]
    ]


def test_version_that_came_up_once_needs_its_example_no_more(following, shelf, models, tmp_path):
    store = tmp_path / "store"
    store.touch()
    version = shelf.publish("reliant", models.chameleon_with(answer=1, needs=str(store)))
    shelf.promote("reliant", version)
    wait_for_answer(following, "reliant", 1)
    (old,) = following.model("reliant")["workers"]
    store.unlink()
    psutil.Process(old).kill()
    following.wait_for(
        lambda: following.model("reliant")["workers"] not in ([], [old]), 30, "its next worker"
    )
    (line,) = [
        line
        for line in following.log_lines("served in spite of its input example")
        if line["model"] == "reliant"
    ]
    assert line["reason"].endswith("The model raised ConnectionError: the feature store is away")
    assert following.ask(act("answer"), "reliant").status_code == 400
    store.touch()
    assert answer_of(following, "reliant") == 1


def test_tag_switches_the_warm_up_off(following, shelf, models):
    version = shelf.publish("cold", models.chameleon_with(fails="warm-up-crash"))
    shelf.client.set_model_version_tag("cold", version, "serving.warmup", "off")
    shelf.promote("cold", version)
    following.wait_for(lambda: following.model("cold").get("workers"), 30, "its worker")
    assert not [text for text in following.model("cold")["warnings"] if "warmed up" in text]
    assert following.ask(act("process"), "cold").status_code == 200


def test_newest_move_wins_while_an_earlier_one_loads(following, shelf, models):
    stuck = shelf.publish("hasty", models.chameleon_with(fails="load-hang"))
    good = shelf.publish("hasty", models.chameleon_with(answer=2))
    following.wait_for(lambda: following.log_lines("libraries imported"), 90, "the imports")
    versions = Path(following.process.environment["SERVING_CACHE"]) / "versions"
    fetched, before = len(list(versions.iterdir())), strangers(following)
    shelf.promote("hasty", stuck)
    following.wait_for(lambda: len(list(versions.iterdir())) > fetched, 30, "its files")
    loading = following.wait_for(lambda: strangers(following) - before, 30, "a worker that loads")
    assert following.model("hasty")["state"] == "loading"
    shelf.promote("hasty", good)
    wait_for_answer(following, "hasty", 2)
    following.wait_for(lambda: not loading & strangers(following), 20, "its end")
    assert not series(following, "hasty", stuck)


def strangers(server) -> set[int]:
    """Children that are no workers: those that load or fetch, and what all are forked from."""
    return {child.pid for child in server.family()} - {w.pid for w in workers(server)}


def test_model_without_alias_is_served_no_more(following, shelf, models):
    version = shelf.publish("fleeting", models.chameleon_with(answer=1))
    assert following.model("fleeting") == {}
    shelf.promote("fleeting", version)
    wait_for_answer(following, "fleeting", 1)
    shelf.client.delete_registered_model_alias("fleeting", "champion")
    following.wait_for(lambda: following.model("fleeting") == {}, 20, "its end")
    assert_error(following.ask(act("answer"), "fleeting"), 404, "RESOURCE_DOES_NOT_EXIST")


def test_model_made_anew_is_not_served_from_the_cache(following, shelf, models):
    version = shelf.publish("reborn", models.chameleon_with(answer=1))
    shelf.promote("reborn", version)
    wait_for_answer(following, "reborn", 1)
    shelf.client.delete_registered_model("reborn")
    again = shelf.publish("reborn", models.chameleon_with(answer=2))
    assert again == version
    shelf.promote("reborn", again)
    wait_for_answer(following, "reborn", 2)
    assert series(following, "reborn", again) >= {"model_server_queue_requests"}


def test_an_alias_that_is_nearly_the_right_one_is_said(following, shelf, models):
    version = shelf.publish("nearly", models.chameleon_with(answer=1))
    shelf.promote("nearly", version, "Champion")
    said = f"Model 'nearly' has the alias 'Champion' on version {version}: aliases are"
    hint = following.wait_for(
        lambda: said in ((hint := following.http.get("/models").json()["hint"]) or "") and hint,
        10,
        "a hint",
    )
    assert hint.endswith("case-sensitive.")
    message = assert_error(following.ask(act("answer"), "nearly"), 404)
    assert f"the model has the alias 'Champion' on version {version}: aliases are" in message
    shelf.promote("nearly", version)
    wait_for_answer(following, "nearly", 1)
    assert "nearly" not in (following.http.get("/models").json()["hint"] or "")


def test_names_of_any_characters_are_served(following, shelf, models):
    """MLflow itself cannot read their URIs."""
    names = ["what?", "me@home", "no#1", "100%25", "two\nlines", "a b&c=d"]
    for name in names:
        shelf.promote(name, shelf.publish(name, models.chameleon_with(answer=name)))
    for name in names:
        path = f"/models/{quote(name, safe='')}/invocations"
        following.wait_for(
            lambda path=path, name=name: (
                following.http.post(path, json=act("answer")).json() == {"predictions": [name]}
            ),
            30,
            f"{name!r} to answer",
        )
    assert {model["name"] for model in served(following)} >= set(names)


def test_several_models_and_no_default(following, shelf, models):
    for name in ("one", "two"):
        shelf.promote(name, shelf.publish(name, models.chameleon_with(answer=name)))
    for name in ("one", "two"):
        wait_for_answer(following, name, name)
    message = assert_error(following.ask(act("answer")), 404, "RESOURCE_DOES_NOT_EXIST")
    assert "/models/one/invocations" in message
    assert following.http.get("/ping").status_code == 200


@pytest.mark.parametrize("fails", ["load", "warm-up"])
def test_restart_takes_nothing_away_that_a_refused_version_was_to_replace(
    local_tracking, shelf, models, tmp_path, fails
):
    name = f"steady-{fails}"
    good = shelf.publish(name, models.chameleon_with(answer=1))
    bad = shelf.publish(name, models.chameleon_with(fails=fails))
    server = ModelServer(tmp_path, MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS=name)

    def is_refused() -> bool:
        entry = server.model(name)
        assert entry["version"] in (None, good)
        return (entry["state"], entry["wanted_version"]) == ("failed", bad)

    shelf.promote(name, good)
    server.start()
    shelf.promote(name, bad)
    server.wait_for(is_refused, 30, "the refusal")
    refusal = server.model(name)["problem"]
    server.process.stop()
    server.start()
    server.wait_for(is_refused, 30, "the refusal after the restart")
    assert server.model(name)["problem"] == refusal
    assert answer_of(server, name) == 1
    server.stop()


def test_restart_without_the_registry_serves_what_it_served(
    local_tracking, shelf, models, tmp_path
):
    first = shelf.publish("kept", models.chameleon_with(answer=1))
    shelf.promote("kept", first)
    other = shelf.publish("kept", models.chameleon_with(answer=3))
    wanted = f"kept,pinned=models:/kept/{other},late@nobody"
    settings = {"MLFLOW_TRACKING_URI": local_tracking.uri, "SERVING_MODELS": wanted}
    server = ModelServer(tmp_path, **settings)
    server.process.start()
    wait_for_answer(server, "kept", 1, timeout=90)
    wait_for_answer(server, "pinned", 3)
    assert server.http.get("/readyz").status_code == 503
    assert server.http.get("/readyz?verbose").status_code == 503
    assert "late" in server.http.get("/readyz").json()["failing"]
    server.wait_for(lambda: {"kept", "pinned"} <= index(tmp_path)["served"].keys(), 10, "the index")
    server.process.kill()

    # A version that rotted in the cache is not served, one that did not is.
    pinned = index(tmp_path)["served"]["pinned"]["identity"][:32]
    rotten = tmp_path / "cache" / "versions" / pinned / "model" / "MLmodel"
    rotten.write_text(rotten.read_text() + "\n")
    local_tracking.stop()
    try:
        server.process.start()
        wait_for_answer(server, "kept", 1, timeout=90)
        registry = server.http.get("/models").json()["registry"]
        assert registry["reachable"] is False
        assert server.model("kept")["state"] == "serving"
        server.wait_for(lambda: server.model("pinned")["state"] == "failed", 60, "the refusal")
        (dropped,) = server.log_lines("damaged version dropped")
        assert (dropped["model"], dropped["version"]) == ("pinned", other)
        assert not rotten.exists()
        assert_error(server.ask(act("answer"), "pinned"), 503, "TEMPORARILY_UNAVAILABLE")
    finally:
        local_tracking.start()
    wait_for_answer(server, "pinned", 3, timeout=60)
    second = shelf.publish("kept", models.chameleon_with(answer=2))
    shelf.promote("kept", second)
    wait_for_answer(server, "kept", 2)
    server.stop()


def index(folder) -> dict:
    import json

    file = folder / "cache" / "index.json"
    return json.loads(file.read_text()) if file.exists() else {"served": {}}
