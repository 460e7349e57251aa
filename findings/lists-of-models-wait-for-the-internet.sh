#!/usr/bin/env bash
# The AI gateway's page asks GitHub which models there are while a user waits for it.
#
# MLflow 3.17.2. MLFLOW_MODEL_CATALOG_URI="" keeps it to the list that is installed.
#
# Expected: `gateway/supported-models`, a list for a menu, comes of a file in the package, or at
#           least of a copy that is fetched beside the requests.
# Seen:     the request itself connects to GitHub, and waits for as long as that takes: behind a
#           proxy or a firewall that answers nothing, 10 s later there is no answer yet. The package
#           does hold a list, which is taken where the connection is refused.
#
#   by default: asks github.com, no answer within 10 s
#   MLFLOW_MODEL_CATALOG_URI="": asks nobody, 200 with a list

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import os
import re
import socket
import sys
import threading

silent = socket.create_server(("127.0.0.1", 0))
os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
os.environ["NO_PROXY"] = ""
os.environ["_MLFLOW_SERVER_FILE_STORE"] = "sqlite:///mlflow.db"
os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = "artifacts"

from mlflow.server import app  # noqa: E402

asked, held = [], []


def listen():
    while True:
        connection, _ = silent.accept()
        asked.append(connection.recv(200).decode())
        held.append(connection)


def ask():
    """Whom the server asks, and what it answers within 10 s."""
    asked.clear()
    answers = []
    path = "/ajax-api/3.0/mlflow/gateway/supported-models?provider=openai"
    call = threading.Thread(
        target=lambda: answers.append(app.test_client().get(path)), daemon=True
    )
    call.start()
    call.join(10)
    hosts = sorted({re.match(r"CONNECT (\S+):443", line)[1] for line in asked})
    if not answers:
        return hosts, "no answer within 10 s"
    listed = answers[0].get_json().get("models")
    return hosts, f"{answers[0].status_code} with a list" if listed else "an empty list"


threading.Thread(target=listen, daemon=True).start()
by_default = ask()
os.environ["MLFLOW_MODEL_CATALOG_URI"] = ""
switched_off = ask()
print(f"by default: asks {', '.join(by_default[0]) or 'nobody'}, {by_default[1]}")
print(f'MLFLOW_MODEL_CATALOG_URI="": asks {", ".join(switched_off[0]) or "nobody"}, {switched_off[1]}')
sys.stdout.flush()
changed = by_default != (["github.com"], "no answer within 10 s") or switched_off != (
    [],
    "200 with a list",
)
os._exit(changed)
PYTHON
