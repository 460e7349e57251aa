"""`model-server check`: a line a version, the served ones told from the others, and no other."""

import re
import subprocess
import sys

import pytest

from harness.processes import clean_environment
from harness.registry import Shelf
from harness.tracking import on_local_files


@pytest.fixture
def tracking(tmp_path):
    made = on_local_files(tmp_path, TRACKING_WORKERS="1")
    assert made.migrate().returncode == 0
    yield made.start()
    made.stop()


def test_served_and_old_versions_have_a_line_each(tracking, models, tmp_path):
    shelf = Shelf(tracking.uri)
    shelf.publish("chameleon", models.chameleon_with(fails="load"))
    shelf.promote("chameleon", shelf.publish("chameleon", models.chameleon_with(answer=2)))
    settings = {"MLFLOW_TRACKING_URI": tracking.uri, "SERVING_CACHE": tmp_path / "cache"}
    done = subprocess.run(
        [sys.executable, "-m", "model_server", "check"],
        env=clean_environment(**settings, SERVING_ENVIRONMENTS="here"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    lines = done.stdout.splitlines()
    old, new, counts = (line for line in lines if not line.startswith("  "))  # steps are indented
    assert re.fullmatch(r"chameleon version 1 FAILED: .* \(not served, [\d.]+ s\)", old)
    assert re.fullmatch(r"chameleon version 2 loads \(served, [\d.]+ s\)", new)
    assert counts == "1 of 2 registered version(s) load, 1 of 1 that are served"
