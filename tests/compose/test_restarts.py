"""Whatever ends the containers, all comes back: data, artifacts, and what was served."""

from __future__ import annotations

import uuid

from harness.stack import docker


def test_killed_containers_come_back_with_all(stack, kept):
    stack.compose("kill")
    stack.up()
    assert kept.is_all_there()


def test_lost_secrets_are_refused_then_mended(stack, kept):
    old = stack.secrets()
    stack.down()
    readers = ("postgres", "database", "minio", "bucket", "tracking")
    volumes = ["secrets", *(f"secrets-{reader}" for reader in readers)]
    docker("volume", "rm", *map(stack.volume, volumes))

    refused = stack.compose("up", check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    (line,) = [line for line in said.splitlines() if "refused: " in line]
    assert "postgres-data" in line
    assert "minio-data" in line
    assert "docker compose run --rm secrets rotate" in line
    assert (
        stack.containers().keys() & {"tracking"} == set()
        or not (stack.container("tracking")["State"]["Running"])
    )

    stack.compose("run", "--rm", "-T", "secrets", "rotate")
    stack.up("--force-recreate")
    assert not set(stack.secrets().values()) & set(old.values())
    assert kept.is_all_there()


def test_a_changed_secret_is_refused_then_taken(stack, kept):
    own = stack.folder / "secrets" / "s3-secret-key"
    own.write_text(uuid.uuid4().hex)
    try:
        refused = stack.compose("up", "--detach", check=False)
        assert refused.returncode != 0
        assert "s3-secret-key changed" in stack.compose("logs", "secrets").stdout
        assert kept.is_all_there(), "a refusal must leave what runs alone"
        stack.compose("run", "--rm", "-T", "secrets", "rotate")
        stack.up("--force-recreate")
        assert kept.is_all_there()
        assert stack.secrets()["s3-secret-key"] == own.read_text()
    finally:
        own.unlink()
        stack.up()
