"""Shadow traffic: compared and counted, never answered with, never in the way."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.serving import ModelServer
from tests.integration.serving.models import act


@pytest.fixture(scope="module")
def server(local_tracking, tmp_path_factory):
    running = ModelServer(
        tmp_path_factory.mktemp("shadow"),
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_MODELS="mirrored",
        SERVING_TIMEOUT=3,
    )
    running.process.start()
    yield running
    running.stop()


def compared(server: ModelServer) -> dict[str, float]:
    """How often the shadow's answers agreed, differed..."""
    page = server.http.get("/metrics").text
    return {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "model_server_shadow_requests_total"
        and sample.labels["model"] == "mirrored@challenger"
    }


def ask(server: ModelServer, what: str) -> tuple[int, object]:
    answer = server.ask(act(what))
    assert answer.headers["x-model-name"] == "mirrored"
    assert answer.headers["x-model-version"] == "1"
    return answer.status_code, answer.json().get("predictions")


def test_challenger_is_asked_too_and_answers_nobody(server, shelf, models):
    first = shelf.publish("mirrored", models.chameleon_with(answer=1))
    shelf.client.set_model_version_tag("mirrored", first, "serving.shadow", "challenger")
    shelf.promote("mirrored", first)
    server.wait_for(server.is_ready, 90, "the champion")
    assert ask(server, "answer") == (200, [1])
    assert not compared(server)

    second = shelf.publish("mirrored", models.chameleon_with(answer=2))
    shelf.promote("mirrored", second, "challenger")
    server.wait_for(
        lambda: server.model("mirrored@challenger").get("state") == "serving", 30, "the shadow"
    )
    assert server.model("mirrored@challenger")["because"] == "shadow of mirrored"

    assert ask(server, "answer") == (200, [1])
    server.wait_for(lambda: compared(server) == {"differs": 1}, 10, "a difference")
    assert ask(server, "hello") == (200, ["hello"])
    server.wait_for(lambda: compared(server) == {"differs": 1, "agrees": 1}, 10, "an agreement")
    # Both refuse: that is agreement as well.
    assert ask(server, "raise")[0] == 400
    server.wait_for(lambda: compared(server).get("agrees") == 2, 10, "another agreement")

    shelf.client.delete_registered_model_alias("mirrored", "challenger")
    server.wait_for(lambda: not server.model("mirrored@challenger"), 20, "the shadow to go")
    assert ask(server, "answer") == (200, [1])
    server.wait_for(lambda: not compared(server), 10, "its series to go")


def test_another_model_under_the_name_of_a_shadow_is_no_shadow(
    local_tracking, shelf, models, tmp_path
):
    for name in ("pippin", "elsewhere"):
        for number in (1, 2):
            shelf.publish(name, models.chameleon_with(answer=number))
    shelf.client.set_model_version_tag("pippin", "1", "serving.shadow", "trial")
    shelf.promote("pippin", "2", "trial")
    server = ModelServer(
        tmp_path,
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_MODELS="pippin/1,pippin%40trial=models:/elsewhere/1",
        SERVING_DEFAULT="pippin",
    ).start()
    for _ in range(5):
        assert server.ask(act("answer")).json() == {"predictions": [1]}
    other = server.model("pippin@trial")
    assert (other["source"], other["state"]) == ("models:/elsewhere/1", "serving")
    page = server.http.get("/metrics").text
    counts = {
        (sample.labels["model"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "model_server_requests_total"
    }
    assert counts == {("pippin", "200"): 5}
    server.stop()
