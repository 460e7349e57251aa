"""`make gc` on the running stack: what users deleted leaves the bucket, and nothing else does."""

from __future__ import annotations

import subprocess
import uuid


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
