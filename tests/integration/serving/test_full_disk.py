"""A cache on a file system of 4 MiB."""

import shutil
import subprocess
import sys

import pytest

from harness.serving import ModelServer
from tests.integration.serving.models import act

ON_A_SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = "mount -t tmpfs -o size=4m tmpfs "
MIB = 2**20


def can_mount(folder) -> bool:
    if not shutil.which("unshare"):
        return False
    command = [*ON_A_SMALL_DISK, MOUNT + str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_full_disk_leaves_the_old_version_and_no_parts(local_tracking, shelf, models, tmp_path):
    if not can_mount(tmp_path):
        pytest.skip("no file system can be mounted here")

    def publish(answer: int, mib: float) -> str:
        folder = shutil.copytree(models.chameleon_with(answer=answer), tmp_path / f"v{answer}")
        (folder / "weights").write_bytes(bytes(int(mib * MIB)))
        return shelf.publish("heavy", folder)

    def answers(expected: int) -> bool:
        answer = server.ask(act("answer"), "heavy")
        return answer.status_code == 200 and answer.json()["predictions"] == [expected]

    first, too_big, fitting, next_one = (
        publish(n, mib) for n, mib in enumerate((1, 5, 2, 1.5), start=1)
    )
    server = ModelServer(
        tmp_path / "serving", MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS="heavy"
    )
    cache = tmp_path / "serving" / "cache"
    cache.mkdir()
    run = f"{MOUNT}{cache} && exec {sys.executable} -m model_server"
    server.process.command = [*ON_A_SMALL_DISK, run]
    with server.process:
        shelf.promote("heavy", first)
        server.wait_for(lambda: answers(1), 90, "the first version")
        shelf.promote("heavy", too_big)
        refused = server.wait_for(
            lambda: (entry := server.model("heavy"))["state"] == "failed" and entry,
            30,
            "the refusal",
        )
        assert "No space left on device" in refused["problem"]
        assert str(tmp_path) not in refused["problem"]
        assert answers(1)
        # Nothing of the big one is left, so this one fits.
        shelf.promote("heavy", fitting)
        server.wait_for(lambda: answers(3), 30, "a version that fits")
        # It fits only once the first one, kept for a way back, is gone.
        shelf.promote("heavy", next_one)
        server.wait_for(lambda: answers(4), 30, "a version that fits in place of another")
