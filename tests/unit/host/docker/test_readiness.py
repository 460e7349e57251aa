"""Why the compose tier cannot run: what is missing is named, with the way out."""

import pytest

from host.docker import readiness

READY = 'case "$1 $2" in "compose version") echo 2.26.1 ;; *) echo 26.1.5 ;; esac'


@pytest.mark.parametrize("missing", ["git", "curl"])
def test_program_that_the_stack_tier_needs_is_named(docker, missing):
    program = docker(READY)
    for name in {"git", "curl"} - {missing}:
        program.with_name(name).symlink_to(program)
    assert (
        readiness.why_no_stack() == f"expected the command {missing}, found none: install {missing}"
    )


@pytest.mark.usefixtures("docker")
def test_engine_is_asked_for_first():
    assert "install Docker Engine" in readiness.why_no_stack()
