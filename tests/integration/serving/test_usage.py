"""/models/{name} tells how to ask the model: pasted, it is answered."""

import pytest

from tests.integration.serving.models import WINE
from tests.integration.serving.pasted import answers


def test_columns_and_example_are_shown(server):
    entry = server.model("wine")
    assert [field["name"] for field in entry["inputs"]] == list(WINE.data.columns)
    first = entry["inputs"][0]
    assert first == {"name": "alcohol", "type": "double", "required": True, "nullable": True}
    (output,) = entry["outputs"]
    assert (output["type"], output["shape"]) == ("int64", [-1])
    assert entry["input_example"]["dataframe_split"]["data"] == WINE.data.head(1).values.tolist()
    assert entry["input_example_reason"] is None
    assert server.ask(entry["input_example"]).status_code == 200
    assert "curl" not in server.http.get("/models").json()["models"][0]


@pytest.mark.parametrize(("name", "answer"), [("wine", 0), ("odd%2Fn%C3%A4me", 2)])
def test_pasted_commands_are_answered(server, name, answer):
    entry = server.model(name)
    assert answers(entry) == ({"predictions": [answer]}, {"predictions": [answer]})


def test_commands_have_the_address_that_the_caller_came_by(server):
    for host in ("a.example.org:81", "LOCALHOST", "[::1]:8080"):
        headers = {"host": host, "x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
        entry = server.http.get("/models/wine", headers=headers).json()
        # Without tokens there is no gateway, and so nobody to believe.
        address = f"http://{host}/models/wine/invocations"
        assert repr(address) in entry["python"]
        assert entry["curl"].split()[1].strip("'") == address
        assert "authorization" not in entry["curl"]
