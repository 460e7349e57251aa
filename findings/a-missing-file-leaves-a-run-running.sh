#!/usr/bin/env bash
# A run whose project was given a file that is not there is RUNNING for ever.
#
# MLflow 3.17.2, a project with a parameter of the type `path`.
#
# Expected: FAILED, as where the project itself does not find the file; or no run at all.
# Seen:     the run is made before its parameters are looked at, `mlflow run` ends with an error and
#           status 1, and nobody tells the run.
#
#   type string: FAILED
#   type path: RUNNING

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import os
import subprocess
import sys
from pathlib import Path

import mlflow

uri = f"sqlite:///{Path('runs.db').resolve()}"
mlflow.set_tracking_uri(uri)
seen = {}
for kind in ("string", "path"):
    project = Path(kind)
    project.mkdir()
    (project / "MLproject").write_text(f"""name: {kind}
entry_points:
  main:
    parameters: {{data: {{type: {kind}}}}}
    command: "{sys.executable} -c 'open(\\"{{data}}\\")'"
""")
    mlflow.create_experiment(kind)
    command = [sys.executable, "-m", "mlflow", "run", kind, "--experiment-name", kind]
    command += ["--env-manager", "local", "-P", "data=missing.csv"]
    done = subprocess.run(command, env={**os.environ, "MLFLOW_TRACKING_URI": uri}, capture_output=True)
    assert done.returncode, done
    (run,) = mlflow.search_runs(experiment_names=[kind], output_format="list")
    seen[kind] = run.info.status
    print(f"type {kind}: {run.info.status}")
sys.exit(seen != {"string": "FAILED", "path": "RUNNING"})
PYTHON
