"""JSON Schemas of what a model takes and gives by MLflow's protocol, from its signature as
`Schema.to_dict()` writes it. Without one, anything goes."""

from typing import Any

from model_server.processes.wire import Description

_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": ["number", "null"], "format": "float"},
    "double": {"type": ["number", "null"], "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": ["string", "null"], "format": "date-time"},
}
_MISSING_IN_FRAMES = {"type": ["string", "null"]}
"""A text of a frame. In `inputs` and `instances`, MLflow makes the word "None" of a null."""
UNWRAPPED = {"messages", "prompt", "input"}
"""Names of MLflow for language models: bodies that have one are the model's input itself."""


def request(description: Description) -> dict[str, Any]:
    """The schema of a body in JSON: one of MLflow's input formats, and params."""
    specs = description.inputs
    untyped = {
        "dataframe_split": _split({}, 0),
        "dataframe_records": _array({"type": "object"}),
        "inputs": {},
        "instances": {},
    }
    if not specs:
        formats = untyped
    elif specs[0]["type"] == "tensor":
        formats = untyped | _of_tensors(specs)  # MLflow reshapes frames
    else:
        formats = _of_columns(specs)
    params = _params(description.params or [])
    bodies = [
        {"type": "object", "required": [name], "properties": {name: schema} | params}
        for name, schema in formats.items()
    ]
    if _names(specs or []) & UNWRAPPED:
        bodies.append(_record(specs or []) | {"additionalProperties": True})
    return {"anyOf": bodies}


def answer(description: Description) -> dict[str, Any]:
    """The schema of a 200."""
    values = _predictions(description.outputs or [])
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": values},
    }
    if _names(description.inputs or []) & UNWRAPPED:
        return {"anyOf": [predictions, {}]}
    return predictions


def _of_columns(specs: list[dict[str, Any]]) -> dict[str, Any]:
    types = _one_of([_type(spec) for spec in specs])
    in_frames = _one_of([_in_frames(spec) for spec in specs])
    least = sum(spec.get("required", True) for spec in specs)
    if not _names(specs):
        rows = _array({"type": "array"})
        values = _array(types) if len(specs) == 1 else rows
        return {"dataframe_split": _split(in_frames, least), "inputs": values, "instances": values}
    record = _record(specs)
    least_rows = {"minItems": 1} if record["required"] else {}  # without one, there is no column
    by_column = {
        "type": "object",
        "required": record["required"],
        "properties": {name: _array(kind) for name, kind in record["properties"].items()},
    }
    plain = [by_column, record, _array(record)]
    if len(specs) == 1:
        plain.append(_array(types))
    return {
        "dataframe_split": _split(in_frames, least),
        "dataframe_records": _array(_record(specs, in_frames=True)) | least_rows,
        "inputs": {"anyOf": plain},
        "instances": {"anyOf": plain},
    }


def _of_tensors(specs: list[dict[str, Any]]) -> dict[str, Any]:
    if not _names(specs):
        tensor = _tensor(specs[0])
        return {"inputs": tensor, "instances": tensor}
    names = [str(spec["name"]) for spec in specs]
    record = {"type": "object", "required": names}
    whole = record | {"properties": {spec["name"]: _tensor(spec) for spec in specs}}
    rows = {spec["name"]: _tensor(spec, of_a_row=True) for spec in specs}
    row = record | {"properties": rows}
    return {"inputs": whole, "instances": {"anyOf": [_array(row), whole]}}


def _predictions(specs: list[dict[str, Any]]) -> dict[str, Any]:
    if not specs:
        return {}
    if specs[0]["type"] == "tensor":
        if not _names(specs):
            return _tensor(specs[0])
        properties = {spec["name"]: _tensor(spec) for spec in specs}
        return {"type": "object", "properties": properties}
    # A model may give an array where its signature was made from a frame.
    values = _one_of([_in_frames(spec) for spec in specs])
    plain = _array(values if len(specs) == 1 else _array(values))
    return {"anyOf": [_array(_record(specs, in_frames=True)), plain]} if _names(specs) else plain


def _params(specs: list[dict[str, Any]]) -> dict[str, Any]:
    if not specs:
        return {}
    properties = {}
    for spec in specs:
        schema = _type(spec | {"required": True})
        if spec.get("shape"):
            schema = _array(schema)
        properties[spec["name"]] = schema | {"default": spec.get("default")}
    return {"params": {"type": "object", "properties": properties}}


def _record(specs: list[dict[str, Any]], *, in_frames: bool = False) -> dict[str, Any]:
    kind_of = _in_frames if in_frames else _type
    return {
        "type": "object",
        "required": [str(spec["name"]) for spec in specs if spec.get("required", True)],
        "properties": {str(spec["name"]): kind_of(spec) for spec in specs},
    }


def _in_frames(spec: dict[str, Any]) -> dict[str, Any]:
    return dict(_MISSING_IN_FRAMES) if spec["type"] == "string" else _type(spec)


def _split(values: dict[str, Any], least: int) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": ["string", "integer"]}}
            | ({"minItems": least} if least else {}),
            "index": {"type": "array"},
            "data": _array(_array(values)),
        },
    }


def _type(spec: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value of a column, a property or a param."""
    kind = spec["type"]
    if kind == "array":
        schema = _array(_type(spec["items"]))
    elif kind == "map":
        schema = {"type": "object", "additionalProperties": _type(spec["values"])}
    elif kind == "object":
        properties = spec["properties"]
        schema = {
            "type": "object",
            "required": [name for name, inner in properties.items() if inner.get("required", True)],
            "properties": {name: _type(inner) for name, inner in properties.items()},
        }
    else:
        schema = dict(_TYPES.get(kind, {}))
    if not spec.get("required", True) and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _tensor(spec: dict[str, Any], *, of_a_row: bool = False) -> dict[str, Any]:
    info = spec["tensor-spec"]
    schema = _element(info["dtype"])
    for length in reversed(info["shape"][1:] if of_a_row else info["shape"]):
        schema = _array(schema) | ({"minItems": length, "maxItems": length} if length >= 0 else {})
    return schema


def _element(dtype: str) -> dict[str, Any]:
    if dtype.startswith("float"):
        return {"type": ["number", "null"]}
    if dtype.startswith(("int", "uint")):
        return {"type": "integer"}
    if dtype == "bool":
        return {"type": "boolean"}
    return {} if dtype == "object" else {"type": "string"}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _one_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    distinct = [schema for at, schema in enumerate(schemas) if schema not in schemas[:at]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _names(specs: list[dict[str, Any]]) -> set[str]:
    return {spec["name"] for spec in specs if "name" in spec}
