"""/openapi.json of a running server, against what it takes and answers."""

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.integration.serving.models import WINE, act, wine_request

WINE_PATH = "/models/wine/invocations"


@pytest.fixture(scope="module")
def document(server):
    return server.http.get("/openapi.json").json()


def errors(document: dict, schema: dict, value: object) -> list[str]:
    schema = {**schema, "components": document["components"]}  # which its references lead to
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def resolved(document: dict, part: dict) -> dict:
    if "$ref" not in part:
        return part
    for name in part["$ref"].removeprefix("#/").split("/"):
        document = document[name]
    return document


def body_schema(document: dict, path: str) -> dict:
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


def closed(part: object) -> object:
    """The same, in which a field that an object does not declare is an error."""
    if isinstance(part, list):
        return [closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    strict = {name: closed(one) for name, one in part.items()}
    if part.get("type") == "object" and "properties" in part:
        strict.setdefault("additionalProperties", False)
    return strict


def assert_declared(document: dict, path: str, answer) -> None:
    """Its status, headers and body are as the document says, and nothing else is in the body."""
    operation = document["paths"][path][answer.request.method.lower()]
    response = resolved(document, operation["responses"][str(answer.status_code)])
    assert set(response.get("headers", ())) <= {name.title() for name in answer.headers}
    content = response["content"]["application/json"]["schema"]
    assert errors(closed(document), closed(content), answer.json()) == []


def test_document_is_valid_and_typed(document):
    validate(document)
    schema = body_schema(document, WINE_PATH)
    assert errors(document, schema, wine_request()) == []
    records = {"dataframe_records": [WINE.data.iloc[0].to_dict()]}
    assert errors(document, schema, records) == []
    del records["dataframe_records"][0]["alcohol"]
    assert errors(document, schema, records)
    assert body_schema(document, "/invocations") == schema


def test_name_with_a_slash_has_its_path(document, server):
    path = "/models/odd%2Fn%C3%A4me/invocations"
    assert errors(document, body_schema(document, path), act("answer")) == []
    assert_declared(document, path, server.http.post(path, json=act("answer")))


def test_answers_are_as_declared(document, server):
    for content in (wine_request(3), {}, {"inputs": [["x"]]}):
        assert_declared(document, WINE_PATH, server.ask(content, "wine"))
        assert_declared(document, "/invocations", server.ask(content))
    answer = server.http.post(WINE_PATH, content=b"", headers={"content-type": "text/html"})
    assert_declared(document, WINE_PATH, answer)
    for path in ("/models", "/livez", "/readyz", "/openapi.json", "/v2", "/v2/health/live"):
        assert_declared(document, path, server.http.get(path))
    entry = server.http.get("/models/wine")
    assert_declared(document, "/models/{name}", entry)
    declared = document["components"]["schemas"]["Model"]["properties"]
    assert {"inputs", "input_example", "curl", "python"} <= entry.json().keys() & declared.keys()


def test_v2_answers_are_as_declared(document, server):
    infer, model = "/v2/models/{name}/infer", "/v2/models/{name}"
    tensor = {"name": "x", "shape": [1, 13], "datatype": "FP64", "data": [1.0] * 13}
    good = {"inputs": [tensor], "id": "1"}
    assert errors(document, body_schema(document, infer), good) == []
    for content, status in ((good, 200), ({"inputs": []}, 422)):
        answer = server.http.post("/v2/models/wine/infer", json=content)
        assert answer.status_code == status
        assert_declared(document, infer, answer)
    assert_declared(document, infer, server.http.post("/v2/models/nobody/infer", json=good))
    assert_declared(document, model, server.http.get("/v2/models/wine"))
    assert_declared(document, f"{model}/ready", server.http.get("/v2/models/wine/ready"))
    index = "/v2/repository/index"
    assert_declared(document, index, server.http.post(index, json={}))


def test_document_follows_what_is_served(following, models, shelf):
    def typed() -> dict:
        document = following.http.get("/openapi.json").json()
        return document["paths"].get("/models/typed/invocations")

    assert typed() is None
    shelf.promote("typed", shelf.publish("typed", models.wine))
    operations = following.process.wait_for(typed, 60, "the first version's schema")
    assert "version 1" in operations["post"]["summary"]
    shelf.promote("typed", shelf.publish("typed", models.chameleon))
    following.process.wait_for(
        lambda: "version 2" in typed()["post"]["summary"], 60, "the second version's schema"
    )
    assert "version 2" in typed()["post"]["summary"]
    assert '"act"' in str(typed()).replace("'", '"')
