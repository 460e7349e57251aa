#!/usr/bin/env bash
# A run that begins while a search turns its pages, and another run is found twice.
#
# MLflow 3.17.2: six runs are searched, three a page, as `mlflow.search_runs` does with its thousands.
# Between the pages somebody starts a run; in a second search, somebody deletes one.
#
# Expected: a page token stands for a place, so that each of the six is found once.
# Seen:     it is an offset into whatever there is by then: a new run shifts all, and the last of the
#           first page comes again; a deleted one, and a run that is there is never found.
#
#   a run begins: 6 found; run 0 0 times, run 3 2 times
#   a run goes: 5 found; run 2 0 times

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys
from collections import Counter

import mlflow

mlflow.set_tracking_uri("sqlite:///runs.db")
client = mlflow.MlflowClient()


def search(between):
    experiment = client.create_experiment(between.__name__)
    runs = [
        client.create_run(experiment, start_time=1_000 + number, run_name=f"run {number}")
        for number in range(6)
    ]
    first = client.search_runs([experiment], max_results=3)
    between(experiment, runs)
    second = client.search_runs([experiment], max_results=3, page_token=first.token)
    return Counter(run.info.run_name for run in [*first, *second])


def begins(experiment, runs):
    client.create_run(experiment, start_time=2_000, run_name="new")


def goes(experiment, runs):
    client.delete_run(runs[5].info.run_id)


began, went = search(begins), search(goes)
for what, found in (("begins", began), ("goes", went)):
    print(f"a run {what}: {found.total()} found; " + ", ".join(
        f"run {number} {found[f'run {number}']} times" for number in range(5)
        if found[f"run {number}"] != 1
    ))
sys.exit((began["run 3"], began["run 0"], went["run 2"], went.total()) != (2, 0, 0, 5))
PYTHON
