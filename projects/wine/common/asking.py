"""How to ask the model server."""

import json
import os
import shlex

import pandas as pd


def server() -> str:
    """Address of the stack's model server: MODEL_SERVER_URL, or where it is by default."""
    return os.environ.get("MODEL_SERVER_URL", "http://localhost:8080").rstrip("/")


def curl(model: str, rows: pd.DataFrame, **params: object) -> str:
    """The command that asks a model for rows, missing values as null; `params` are the model's."""
    table = json.loads(rows.to_json(orient="split", index=False, double_precision=15))
    body = {"dataframe_split": table, **({"params": params} if params else {})}
    return (
        f"curl {server()}/models/{model}/invocations "
        f"-H 'content-type: application/json' -d {shlex.quote(json.dumps(body))}"
    )
