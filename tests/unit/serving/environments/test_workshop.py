"""What builds an environment reads what uv is told to read, and nothing of the server's."""

from pathlib import Path

import pytest

from model_server.environments.workshop import workshop
from model_server.settings import Settings


def readable(tmp_path: Path, **variables: str) -> set[str]:
    settings = Settings(models="a=/b", cache=tmp_path / "cache")
    environment = tmp_path / "cache" / "environments" / "digest"
    return set(workshop(settings, tmp_path / "model", environment, variables).rules.readable)


@pytest.mark.parametrize(
    "value",
    [
        "file://{}/my%20index/simple",
        "https://example.org/simple ours=file://localhost{}/my%20index/simple",
        "{}/my%20index/simple",
    ],
)
def test_an_index_in_a_folder_is_read_with_the_files_that_its_pages_lead_to(tmp_path, value):
    (tmp_path / "my index" / "simple").mkdir(parents=True)
    paths = readable(tmp_path, UV_INDEX=value.format(tmp_path))
    assert {str(tmp_path / "my index" / "simple"), str(tmp_path / "my index")} <= paths


def test_folders_of_wheels_and_certificates_are_read(tmp_path):
    (tmp_path / "wheels").mkdir()
    (tmp_path / "root.pem").touch()
    variables = {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_CERT": str(tmp_path / "root.pem")}
    paths = readable(tmp_path, **variables)
    assert {str(tmp_path / "wheels"), str(tmp_path / "root.pem")} <= paths
    assert str(tmp_path) not in paths


def test_what_is_written_is_there_before_rules_are_made_for_it(tmp_path):
    settings = Settings(models="a=/b", cache=tmp_path / "cache")
    environments = tmp_path / "cache" / "environments"
    confined = workshop(settings, tmp_path / "model", environments / "digest", {})
    assert str(environments) in confined.rules.writable
    assert all(Path(path).is_dir() for path in confined.rules.writable)
    assert (confined.rules.network, confined.rules.filtered) == ("any", False)
