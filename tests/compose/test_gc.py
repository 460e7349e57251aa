"""`make gc` on the running stack: what users deleted leaves the bucket, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid

from harness.processes import Process
from harness.stack import docker
from harness.waiting import wait_until


def make_gc(stack, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "gc"],
        cwd=stack.folder,
        env=stack.environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_gc_frees_the_bucket_of_what_users_deleted(stack, client):
    experiment = client.create_experiment(f"gc-{uuid.uuid4().hex}")
    kept, gone, needed = (client.create_run(experiment).info for _ in range(3))
    for run in (kept, gone, needed):
        client.log_text(run.run_id, "x" * 2**20, "large.txt")
    name = f"gc-{uuid.uuid4().hex}"
    client.create_registered_model(name)
    client.create_model_version(name, needed.artifact_uri, needed.run_id)
    client.delete_run(gone.run_id)
    client.delete_run(needed.run_id)

    unasked = make_gc(stack)
    assert unasked.returncode != 0
    assert "make gc YES=1" in unasked.stderr
    assert f"run {needed.run_id} ({needed.run_name}): version 1 of model {name}" in unasked.stdout
    done = make_gc(stack, YES="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MiB freed" in done.stdout.splitlines()[-1]
    left = stack.storage(f"mc ls --recursive stack/mlflow/{experiment}")
    assert f"{gone.run_id}/artifacts/large.txt" not in left
    assert f"{kept.run_id}/artifacts/large.txt" in left
    assert f"{needed.run_id}/artifacts/large.txt" in left
    runs = stack.sql("SELECT run_uuid FROM runs WHERE experiment_id = :e", e=experiment)
    assert set(runs) == {kept.run_id, needed.run_id}
    client.delete_registered_model(name)


def test_an_interrupt_ends_the_clean_up_where_output_goes_to_a_file(stack, client, tmp_path):
    """It waits for the run, which another transaction holds."""
    run = client.create_run(client.create_experiment(f"gc-{uuid.uuid4().hex}")).info.run_id
    client.log_text(run, "x", "note.txt")
    client.delete_run(run)
    psql = ["docker", "compose", "exec", "-T", "postgres", "psql", "-U", "postgres", "mlflow", "-c"]
    hold = f"BEGIN; SELECT FROM runs WHERE run_uuid = '{run}' FOR UPDATE; SELECT pg_sleep(600)"
    release = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN;%sleep%'"
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
    environment = stack.environment(YES="1")
    make = ["make", "--no-print-directory", "--directory", stack.folder, "gc"]
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    inside = ["env", f"--chdir={stack.folder}"]
    with Process([*inside, *psql, hold], environment, tmp_path / "holder"):
        wait_until(lambda: stack.sql(sleeping), 60, "the run is held")
        cleaning = Process(make, environment, tmp_path / "log").start()
        cleaning.wait_for(lambda: stack.sql(waits), 60, "the clean-up waits")
        since = f"{time.time():.3f}"
        os.killpg(cleaning.pid, signal.SIGINT)
        # Once it is released, it goes on unless it has been told before.
        told = ["events", "--since", since, "--filter", "event=kill", "--until"]
        wait_until(lambda: "signal=2" in docker(*told, f"{time.time():.3f}").stdout, 30, "told")
        stack.sql(release)
        assert cleaning.wait(60) != 0
    assert "tracking-server: interrupted" in cleaning.text()
    assert stack.sql("SELECT run_uuid FROM runs WHERE run_uuid = :'run'", run=run) == [run]
    assert make_gc(stack, YES="1").returncode == 0
