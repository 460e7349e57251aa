#!/usr/bin/env bash
# `mlflow gc` deletes the files of a registered version that is in use.
#
# MLflow 3.17.2: a run that registered a model, whose version has an alias, is deleted with what it
# logged, and `mlflow gc` cleans up.
#
# Expected: the run stays, or the command says that a version needs it, or at least the version goes.
# Seen:     the files are gone, and the version is still listed with its alias. Nothing was said.
#
#   before: models:/wine@champion loads
#   after: version 1 has the alias champion, and does not load

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import os
import subprocess
import sys
from pathlib import Path

import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

uri = f"sqlite:///{Path('runs.db').resolve()}"
mlflow.set_tracking_uri(uri)
client = mlflow.MlflowClient()
with mlflow.start_run() as run:
    model = LogisticRegression(max_iter=5000).fit(*load_wine(return_X_y=True))
    logged = mlflow.sklearn.log_model(model, name="model", registered_model_name="wine")
client.set_registered_model_alias("wine", "champion", 1)


def state():
    try:
        mlflow.pyfunc.load_model("models:/wine@champion")
    except Exception:
        return "does not load"
    return "loads"


before = state()
print(f"before: models:/wine@champion {before}")
client.delete_run(run.info.run_id)
client.delete_logged_model(logged.model_id)
done = subprocess.run(
    [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri],
    env={**os.environ, "MLFLOW_TRACKING_URI": uri}, capture_output=True, text=True,
)
assert done.returncode == 0, done
version = client.get_model_version_by_alias("wine", "champion")
after = state()
print(f"after: version {version.version} has the alias champion, and {after}")
sys.exit((before, after) != ("loads", "does not load"))
PYTHON
