"""What a newcomer meets first: a checkout, the licence, the changelog, the release."""

import json
import re
import subprocess
import tomllib

import pytest
import yaml

from host.paths import ROOT
from model_server import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no git repository, so no clone")
def test_checkout_of_windows_habits_has_no_carriage_returns(tmp_path):
    """They would end each script in a container by `exec tracking-server failed`."""
    clone = tmp_path / "clone"
    git = ["git", "-c", "core.autocrlf=true"]
    subprocess.run([*git, "clone", "--quiet", "--depth=1", f"file://{ROOT}", clone], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "--eol"], cwd=clone, capture_output=True, text=True, check=True
    )
    lines = listed.stdout.splitlines()
    assert len(lines) > 500
    assert [x for x in lines if re.search(r"w/(crlf|mixed)", x) and "attr/-text" not in x] == []
    assert b"\r" not in (clone / "services" / "tracking" / "tracking-server").read_bytes()


def test_licence_is_declared_and_goes_along():
    licence = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in licence
    pages = [ROOT / "pyproject.toml", *ROOT.glob("services/*/pyproject.toml")]
    assert len(pages) > 1
    for page in pages:
        project = tomllib.loads(page.read_text())["project"]
        assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"]), page
        assert (page.parent / "LICENSE").read_text() == licence


def test_one_version_everywhere_and_the_changelog_has_it():
    assert __version__ == PROJECT["version"]
    released = re.findall(r"^## \[(\d\S+)\] - 20\d\d-\d\d-\d\d$", changelog(), re.MULTILINE)
    assert released[0] == PROJECT["version"]
    assert released == sorted(released, reverse=True)


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


def test_release_builds_every_file_that_has_images_to_build():
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    with_builds = {path.name for path in ROOT.glob("*compose*.yml") if "build:" in path.read_text()}
    assert set(re.findall(r"--file (\S+compose\S*|compose\.\S+)", workflow)) == with_builds


def test_hook_and_container_call_what_the_makefile_has():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (hook,) = hooks["repos"][0]["hooks"]
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    for command in (hook["entry"], container["postCreateCommand"]):
        program, target, *_ = command.split()
        assert (program, target in targets) == ("make", True), command


def test_picture_of_the_rooms_has_each_room_and_no_circle():
    drawn = (ROOT / "docs" / "rooms.svg").read_text()
    package = ROOT / "services" / "serving" / "model_server"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    assert set(re.findall(r">\.(\w+)/?</text>", drawn)) == rooms | modules
    assert "stroke-dasharray" not in drawn


def test_words_of_serving_are_where_the_glossary_says():
    words = (ROOT / "services" / "serving" / "REFERENCE.md").read_text().partition("## Words")[2]
    package = ROOT / "services" / "serving" / "model_server"
    places = re.findall(r"`([\w/]+(?:\.py|/))` \|$", words, re.MULTILINE)
    assert len(places) > 20
    assert [place for place in places if not (package / place).exists()] == []
