#!/usr/bin/env bash
# One NaN among a metric's values, and its history for the UI's charts is not JSON.
#
# MLflow 3.17.2: loss is logged as 0.5 and then as NaN, as training that diverges does. Its history is
# asked for from three addresses of `mlflow server`.
#
# Expected: the same two points from each, NaN as the text "NaN", since JSON has no such number.
# Seen:     two of them say "NaN"; metrics/get-history-bulk answers 200, application/json, with a bare
#           NaN in it, on which JSON.parse of any browser and every strict reader raise.
#
#   get-history: "NaN"
#   get-history-bulk: no JSON
#   get-history-bulk-interval: "NaN"

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import mlflow

os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
uri = f"http://127.0.0.1:{port}"
server = subprocess.Popen(
    [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1",
     "--backend-store-uri", "sqlite:///runs.db"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)


def answer(path):
    with urllib.request.urlopen(f"{uri}/{path}", timeout=60) as found:
        assert found.headers.get_content_type() == "application/json", found.headers
        return found.read()


def not_json(constant):
    raise ValueError(constant)


try:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=10)
            break
        except OSError:
            time.sleep(0.2)
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", float("nan"), step=2)
    number, seen = run.info.run_id, {}
    for path in (
        f"api/2.0/mlflow/metrics/get-history?run_id={number}&metric_key=loss",
        f"ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={number}&metric_key=loss",
        f"ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={number}&metric_key=loss",
    ):
        name = path.partition("?")[0].rpartition("/")[2]
        try:
            points = json.loads(answer(path), parse_constant=not_json)["metrics"]
            seen[name] = json.dumps(points[-1]["value"])
        except ValueError:
            seen[name] = "no JSON"
        print(f"{name}: {seen[name]}")
finally:
    server.terminate()
    server.wait()
sys.exit(list(seen.values()) != ['"NaN"', "no JSON", '"NaN"'])
PYTHON
