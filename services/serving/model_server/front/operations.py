"""What can be asked of the server, as /openapi.json says it."""

from typing import Any

from model_server.front import schemas
from model_server.front.components import STRING, headers, json_of, ref, schema
from model_server.processes.wire import Description

MODELS, V2, SERVER, MANAGEMENT = "models", "open inference protocol", "server", "management"
TAGS = {
    MODELS: "MLflow's scoring protocol, and what is served.",
    V2: "https://github.com/kserve/open-inference-protocol",
    SERVER: "Health, metrics and this document.",
    MANAGEMENT: "Deploy, load and unload, with the token.",
}

ANYWHERE = (403, 408, 413, 429, 431, 500, 503)
"""Refusals that any request can meet."""
PREDICTING = (400, 404, 415, 504)
MANAGING = (400, 401, 404)

ANYTHING: dict[str, Any] = {}


def operation(
    tag: str,
    name: str,
    summary: str,
    answer: dict[str, Any],
    *refusals: int,
    body: dict[str, Any] | None = None,
    is_v2: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """`answer` and `body` are schemas of JSON; `more` is what else the operation has."""
    described: dict[str, Any] = {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {
                "description": summary,
                "headers": headers("X-Request-Id"),
                "content": json_of(answer),
            }
        },
    }
    for refusal in sorted({*ANYWHERE, *refusals}):
        response = f"V2.{refusal}" if is_v2 else f"{refusal}"
        described["responses"][f"{refusal}"] = ref("responses", response)
    if body is not None:
        described["requestBody"] = {"content": json_of(body), "required": True}
    return described | more


def prediction(*details: Any, **more: Any) -> dict[str, Any]:
    """An `operation` with the headers that a prediction has."""
    predict = operation(*details, *PREDICTING, **more)
    good = predict["responses"]["200"]
    good["headers"] = headers("X-Request-Id", "X-Model-Name", "X-Model-Version")
    predict["parameters"] = [ref("parameters", "X-Request-Id"), ref("parameters", "traceparent")]
    return predict


def invocations(name: str, summary: str, description: Description) -> dict[str, Any]:
    """The path item of a model in MLflow's protocol."""
    invoke = prediction(
        MODELS, name, summary, schemas.answer(description), body=schemas.request(description)
    )
    invoke["requestBody"]["content"] |= {
        "text/csv": {"schema": STRING},
        "application/vnd.apache.parquet": {"schema": ANYTHING},
    }
    if description.streaming:
        invoke["description"] = 'With `"stream": true`: server-sent events, the last one `[DONE]`.'
        invoke["responses"]["200"]["content"]["text/event-stream"] = {"schema": STRING}
    return {"post": invoke}


def _v2(name: str, summary: str, answer: str, *refusals: int, **more: Any) -> dict[str, Any]:
    return operation(V2, name, summary, schema(answer), *refusals, is_v2=True, **more)


def _v2_model(path: str, suffix: str, *parameters: str) -> dict[str, Any]:
    infer = prediction(
        V2,
        f"infer{suffix}",
        "Predict",
        schema("V2.Prediction"),
        422,
        body=schema("V2.Inference"),
        is_v2=True,
    )
    items = {
        path: {"get": _v2(f"v2_model{suffix}", "Inputs and outputs", "V2.Model", 404)},
        f"{path}/ready": {"get": _v2(f"v2_model_ready{suffix}", "Is loaded", "V2.Ready", 404)},
        f"{path}/infer": {"post": infer},
    }
    named = [ref("parameters", name) for name in parameters]
    return {path: item | {"parameters": named} for path, item in items.items()}


def _managed(
    name: str,
    summary: str,
    answer: dict[str, Any],
    *refusals: int,
    is_v2: bool = False,
    **more: Any,
) -> dict[str, Any]:
    return operation(
        MANAGEMENT,
        name,
        summary,
        answer,
        *MANAGING,
        *refusals,
        is_v2=is_v2,
        security=[{"token": []}],
        **more,
    )


def _ping(name: str, summary: str) -> dict[str, Any]:
    """MLflow's, whose 404 has no body of ours."""
    ping = operation(SERVER, name, summary, ANYTHING)
    ping["responses"]["404"] = {"description": "There is no such model, or it is not loaded."}
    return ping


def _readyz() -> dict[str, Any]:
    """Its own 503 says what is missing."""
    readyz = operation(SERVER, "readyz", "What is named is served", schema("Health"))
    content = json_of({"anyOf": [schema("Health"), schema("Error")]})
    readyz["responses"]["503"] = {"description": "Not all of it.", "content": content}
    return readyz


def _metrics() -> dict[str, Any]:
    metrics = operation(SERVER, "metrics", "Prometheus", STRING)
    metrics["responses"]["200"]["content"] = {"text/plain": {"schema": STRING}}
    return metrics


def _deploy() -> dict[str, Any]:
    deploy = _managed(
        "deploy",
        "Serve a version under this name",
        schema("Model"),
        409,
        body=schema("Deploy"),
        parameters=[ref("parameters", "wait")],
    )
    responses = deploy["responses"]
    responses["202"] = responses["200"] | {"description": "It is on its way."}
    return deploy


_NAME = {"parameters": [ref("parameters", "name")]}
_EMPTY = {"type": "object"}

ALWAYS: dict[str, dict[str, Any]] = {
    "/models": {"get": operation(MODELS, "models", "What is served, and why", schema("Models"))},
    "/models/{name}": {
        "get": operation(MODELS, "model", "One model", schema("Model"), 404, 503),
        **_NAME,
    },
    "/ping": {"get": _ping("ping", "A model is loaded")},
    "/health": {"get": _ping("health", "As /ping")},
    "/version": {"get": operation(SERVER, "version", "MLflow's version", ANYTHING)},
    "/metrics": {"get": _metrics()},
    "/livez": {"get": operation(SERVER, "livez", "The event loop turns", schema("Health"))},
    "/readyz": {"get": _readyz()},
    "/openapi.json": {"get": operation(SERVER, "openapi", "This document", _EMPTY)},
    "/v2": {"get": _v2("v2_server", "The server", "V2.Server")},
    "/v2/health/live": {"get": _v2("v2_live", "As /livez", "V2.Live")},
    "/v2/health/ready": {"get": _v2("v2_ready", "As /readyz", "V2.Ready")},
    "/v2/repository/index": {
        "post": _v2("v2_index", "All models", "V2.Index", 400)
        | {"requestBody": {"content": json_of(schema("V2.Which"))}}
    },
    **_v2_model("/v2/models/{name}", "", "name"),
    **_v2_model("/v2/models/{name}/versions/{version}", "_of_version", "name", "version"),
}
"""Path items, whatever is served."""

WITH_TOKEN: dict[str, dict[str, Any]] = {
    "/models/{name}": {
        "put": _deploy(),
        "delete": _managed("undeploy", "Undo a deployment", _EMPTY),
    },
    "/v2/repository/models/{name}/load": {
        "post": _managed("load", "Serve it again", _EMPTY, 409, is_v2=True),
        **_NAME,
    },
    "/v2/repository/models/{name}/unload": {
        "post": _managed("unload", "Serve it no more", _EMPTY, is_v2=True),
        **_NAME,
    },
}
"""What is there when management is on."""
