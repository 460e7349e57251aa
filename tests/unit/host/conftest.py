"""A `docker` of the test's own, for what no engine at hand can be made to say."""

import pytest


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Put a `docker` with the given script on PATH, and nothing beside it."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def docker(script):
        program = programs / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return docker
