"""Every state that a Docker engine can be found in, played by a `docker` of our own on PATH."""

import pytest

from host.docker import engine

READY = 'case "$1 $2" in "compose version") echo 2.26.1-4 ;; *) echo 26.1.5+dfsg1 ;; esac'


def test_ready_engine_has_no_problem(docker):
    docker(READY)
    assert engine.find() == engine.Engine(True, "Docker engine 26.1.5+dfsg1, Compose 2.26.1-4")


def test_oldest_compose_that_will_do(docker):
    docker(READY.replace("2.26.1-4", "v2.24.4"))
    assert not engine.find().problem


@pytest.mark.usefixtures("docker")
def test_machine_without_docker():
    answer = engine.find()
    assert not answer.answers
    assert "install Docker" in answer.problem


@pytest.mark.parametrize(
    ("script", "answers", "answer", "way"),
    [
        ("echo 24.0.7", True, "24.0.7", "upgrade Docker Engine"),
        ("echo nonsense", True, "nonsense", "upgrade Docker Engine"),
        ("[ $1 = version ] && echo 26.1.5", True, "without Compose", "docker-compose-plugin"),
        (READY.replace("2.26.1-4", "v2.24.3"), True, "v2.24.3", "upgrade Docker Compose"),
        ("echo 'Cannot connect to it' >&2; exit 1", False, "Cannot connect to it", "start it"),
        ("echo 'Permission denied: sock' >&2; exit 1", False, "permission denied", "group docker"),
        ("exit 1", False, "no Docker engine answers", "start it"),
    ],
)
def test_engine_that_cannot_be_used_is_told_with_the_way_out(docker, script, answers, answer, way):
    docker(script)
    outcome = engine.find()
    assert outcome.answers is answers
    assert answer in outcome.version
    assert way in outcome.problem


def test_silent_engine_is_given_up_on(docker, monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE", 0.2)
    docker("exec /bin/sleep 20")
    answer = engine.find()
    assert not answer.answers
    assert "no answer within" in answer.version


def test_docker_that_is_no_program_is_no_engine(docker):
    docker("").write_text("#!/nonexistent\n")
    assert not engine.find().answers


def test_folder_of_the_images_is_one_of_this_machine(docker, tmp_path):
    docker(f"echo {tmp_path}")
    assert engine.folder() == tmp_path
    docker(f"echo {tmp_path}/of/another/machine")
    assert engine.folder() is None
    docker("exit 1")
    assert engine.folder() is None
