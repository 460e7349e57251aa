"""`make projects`, and the commands of each project's page, on the stack of local processes."""

import os
import shlex
import sys

import pytest

from harness.processes import clean_environment, run
from harness.projects import PROJECTS, assert_all_ran, names
from harness.readme import blocks
from harness.tiny_t5 import build
from host.clients import projects
from host.docker.readiness import why_no_stack

pytestmark = pytest.mark.timeout(900)
FULL = os.environ.get("FULL") == "1"


@pytest.mark.skipif(
    not FULL and not why_no_stack(), reason="the compose tier does the same in containers: FULL=1"
)
def test_one_command_runs_every_project_and_asks_each_model(checkout, tmp_path):
    output = checkout.make("projects", T5=str(build(tmp_path / "t5")), timeout=800)

    assert_all_ran(output)


def test_a_project_that_is_not_there_is_named_with_those_that_are(checkout):
    output = checkout.make("projects", K="nonesuch", status=2)

    assert "K: expected one of wine, validation, tuning, registry, huggingface" in output


def test_the_other_commands_of_the_projects_pages_do_what_they_say(checkout):
    checkout.make("up")
    done_above = {
        shlex.join(["mlflow", *projects.command(run.project, *run.arguments)[1:]])
        for run in projects.RUNS
    }
    lines = [
        line
        for project in names()
        for block in blocks(page=PROJECTS / project / "README.md")
        for line in block.script.splitlines()
    ]
    assert done_above & set(lines)
    others = [line for line in lines if line not in done_above]
    address = "MLFLOW_TRACKING_URI=http://localhost"
    script = "\n".join(others).replace(f"{address}:5000", f"{address}:{checkout.tracking_port}")
    variables = clean_environment(MLFLOW_ENV_ROOT=checkout.folder / ".local" / "environments")
    programs = [checkout.folder / ".venv" / "bin", variables["PATH"], f"{sys.base_prefix}/bin"]

    environment = {**variables, "PATH": os.pathsep.join(map(str, programs))}
    done = run(["bash", "-euxo", "pipefail", "-c", script], checkout.folder, environment)

    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
