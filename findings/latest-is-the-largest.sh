#!/usr/bin/env bash
# Of a metric's values within one millisecond, the largest is its latest, not the last.
#
# MLflow 3.17.2: a loss is logged four times, each smaller than the one before, one call after the
# other, without a step and at the same millisecond, as a fast loop does.
#
# Expected: the run shows the value that was logged last.
# Seen:     it shows the first, which is the largest; a score that grows is right by that rule. Where
#           runs are compared or searched, it is this value that counts.
#
#   logged 0.9, 0.5, 0.3, 0.2: the run says 0.9
#   logged 0.2, 0.3, 0.5, 0.9: the run says 0.9

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow

mlflow.set_tracking_uri("sqlite:///runs.db")
client = mlflow.MlflowClient()
falling = [0.9, 0.5, 0.3, 0.2]
seen = []
for values in (falling, falling[::-1]):
    run = client.create_run("0").info.run_id
    for value in values:
        client.log_metric(run, "loss", value, timestamp=1_700_000_000_000)
    seen.append(client.get_run(run).data.metrics["loss"])
    print(f"logged {', '.join(map(str, values))}: the run says {seen[-1]}")
sys.exit(seen != [0.9, 0.9])
PYTHON
