"""What `mlflow models serve` answers, by the function that it answers with."""

import json

import mlflow
from mlflow.pyfunc import scoring_server


def ask(folder, body, kind="application/json"):
    """Its predictions, or "refused" where it answers with an error."""
    model = mlflow.pyfunc.load_model(folder)
    schema = model.metadata.get_input_schema()
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        answer = scoring_server.invocations(text, kind, model, schema)
    except mlflow.MlflowException:
        return "refused"
    return json.loads(answer.response)["predictions"]
