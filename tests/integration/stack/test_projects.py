"""`make projects`, and the commands of each project's page, on the stack of local processes."""

import os
import subprocess
import sys

import pytest

from tests.projects import PROJECTS, assert_all_ran, names
from tests.readme import blocks
from tests.support import clean_environment
from tests.tiny_t5 import build

pytestmark = pytest.mark.timeout(900)


def test_one_command_runs_every_project_and_asks_each_model(checkout, tmp_path):
    output = checkout.make("projects", T5=str(build(tmp_path / "t5")), timeout=800)

    assert_all_ran(output)


def test_a_project_that_is_not_there_is_named_with_those_that_are(checkout):
    output = checkout.make("projects", K="nonesuch", status=2)

    assert "K: expected one of wine, validation, tuning, registry, huggingface" in output


@pytest.fixture(scope="module")
def variables(checkout):
    """The environment in which a page's commands are pasted: that of a user of this stack."""
    checkout.make("up")
    given = clean_environment(
        MLFLOW_TRACKING_URI=checkout.tracking_url,
        MODEL_SERVER_URL=checkout.serving_url,
        MLFLOW_ENV_ROOT=checkout.folder / ".local" / "environments",
    )
    programs = [checkout.folder / ".venv" / "bin", given["PATH"], f"{sys.base_prefix}/bin"]
    return {**given, "PATH": os.pathsep.join(map(str, programs))}


@pytest.mark.parametrize("project", names())
def test_the_commands_of_its_page_do_what_they_say(checkout, variables, project):
    script = "".join(block.script for block in blocks(page=PROJECTS / project / "README.md"))
    for documented, ours in (
        ("localhost:5000", f"localhost:{checkout.tracking_port}"),
        ("localhost:8080", f"localhost:{checkout.serving_port}"),
    ):
        script = script.replace(documented, ours)

    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=checkout.folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
