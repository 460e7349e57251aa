"""What the operations in /openapi.json share: schemas, headers, and an answer for each refusal."""

from http import HTTPStatus
from typing import Any

from msgspec.json import schema_components

from model_server.models.entry import Entry

REFUSALS = {
    400: "The body cannot be read or does not fit, or the model refuses it.",
    401: "The token is missing or wrong.",
    403: "The Host or Origin header is none of this server's, or this is switched off.",
    404: "There is no such model, or no such version of it.",
    408: "The request took too long to arrive.",
    409: "The version cannot be served.",
    413: "The body is too large.",
    415: "The content type is none that is taken.",
    422: "The tensors do not fit the model, or not themselves.",
    429: "Too many requests wait, or the model says so.",
    431: "The headers are too large.",
    500: "An unexpected error; the server's log has it under the request id.",
    503: "The model is not loaded, its worker ended, or the server is full.",
    504: "No answer within the time limit.",
}
"""Every status that has an error for its body."""
_RETRY_AFTER = (429, 503)

STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ANY_OBJECT = {"type": "object", "additionalProperties": True}


def ref(kind: str, name: str) -> dict[str, Any]:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> dict[str, Any]:
    """A reference to a schema."""
    return ref("schemas", name)


def array(items: dict[str, Any]) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": items}


def record(required: str = "", /, **properties: dict[str, Any]) -> dict[str, Any]:
    """An object; the names in `required` are separated by spaces."""
    return {"type": "object", "required": required.split(), "properties": properties}


def json_of(content: dict[str, Any]) -> dict[str, Any]:
    """A body of this schema."""
    return {"application/json": {"schema": content}}


def headers(*names: str) -> dict[str, Any]:
    """References to these headers."""
    return {name: ref("headers", name) for name in names}


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


def _refusal(status: int, error: str) -> dict[str, Any]:
    more = ["Retry-After"] if status in _RETRY_AFTER else []
    return {
        "description": f"{HTTPStatus(status).phrase}. {REFUSALS[status]}",
        "headers": headers("X-Request-Id", *more),
        "content": json_of(schema(error)),
    }


_DATATYPE = {
    "type": "string",
    "enum": [
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "FP32", "FP64", "BYTES"),
    ],
}
_ENTRY = schema_components([Entry], ref_template="#/components/schemas/{name}")[1]
_SCHEMAS = {
    "Error": record("error_code message", error_code=STRING, message=STRING),
    "V2.Error": record("error error_code message", error=STRING, error_code=STRING, message=STRING),
    "Model": _ENTRY.pop("Entry"),
    **_ENTRY,
    "Models": record(
        "models",
        models=array(schema("Model")),
        registry={"type": ["object", "null"]},
        hint=_TEXT_OR_NULL,
    ),
    "Health": record("status", status=STRING, knows=BOOLEAN, failing=_ANY_OBJECT),
    "Deploy": record("uri", uri=STRING | {"examples": ["models:/wine@champion", "models:/wine/3"]}),
    "V2.Server": record("name version", name=STRING, version=STRING, extensions=array(STRING)),
    "V2.Live": record("live", live=BOOLEAN),
    "V2.Ready": record("ready", name=STRING, ready=BOOLEAN),
    "V2.Model": record(
        "name platform inputs outputs",
        name=STRING,
        versions=array(STRING),
        platform=STRING,
        inputs=array(schema("V2.TensorMetadata")),
        outputs=array(schema("V2.TensorMetadata")),
    ),
    "V2.TensorMetadata": record(
        "name datatype shape",
        name=STRING,
        datatype=_DATATYPE,
        shape=array({"type": "integer"}),
        parameters=_ANY_OBJECT,
    ),
    "V2.Tensor": record(
        "name shape datatype data",
        name=STRING,
        shape=array({"type": "integer", "minimum": 0}),
        datatype=_DATATYPE,
        parameters=_ANY_OBJECT,
        data={"type": "array", "description": "Flat or nested, in row-major order."},
    ),
    "V2.Inference": record(
        "inputs",
        id=STRING,
        parameters=_ANY_OBJECT,
        inputs=array(schema("V2.Tensor")) | {"minItems": 1},
        outputs=array(record("name", name=STRING, parameters=_ANY_OBJECT)),
    ),
    "V2.Prediction": record(
        "model_name outputs",
        model_name=STRING,
        model_version=STRING,
        id=STRING,
        outputs=array(schema("V2.Tensor")),
    ),
    "V2.Which": record(ready=BOOLEAN),
    "V2.Index": array(
        record(
            "name state",
            name=STRING,
            version=STRING,
            state={"type": "string", "enum": ["READY", "LOADING", "UNAVAILABLE"]},
            reason=STRING,
        )
    ),
}
COMPONENTS = {
    "schemas": _SCHEMAS,
    "responses": {
        **{f"{status}": _refusal(status, "Error") for status in REFUSALS},
        **{f"V2.{status}": _refusal(status, "V2.Error") for status in REFUSALS},
    },
    "headers": {
        "X-Request-Id": _header("The request's own, or one that was made."),
        "X-Model-Name": _header("The served name that answered, percent-encoded in UTF-8."),
        "X-Model-Version": _header("Its version."),
        "Retry-After": _header("Seconds.", "integer"),
    },
    "parameters": {
        "name": {"name": "name", "in": "path", "required": True, "schema": STRING},
        "version": {"name": "version", "in": "path", "required": True, "schema": STRING},
        "wait": {
            "name": "wait",
            "in": "query",
            "description": "Seconds to wait until it is served.",
            "schema": {"type": "number", "minimum": 0},
        },
        "X-Request-Id": {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Comes back, and is in the log.",
            "schema": {"type": "string", "maxLength": 128},
        },
        "traceparent": {
            "name": "traceparent",
            "in": "header",
            "description": "W3C trace context, for the log.",
            "schema": STRING,
        },
    },
    "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
}
