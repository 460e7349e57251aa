"""What is said behind `make COMMAND`: one way to say yes, and a line for everything else."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from host.paths import ROOT
from host.user import options
from host.user.terminal import CommandError

SWITCHES = dict.fromkeys(("YES", "FIX", "UPGRADE", "ROTATE", "FULL", "COVERAGE"), "1")
REQUIRED = dict.fromkeys(("AUDIT", "COMPOSE_TIER"), "required")


@pytest.mark.parametrize(("name", "on"), (SWITCHES | REQUIRED).items())
def test_every_switch_is_said_in_the_same_way(name, on):
    assert getattr(options.read({name: on}), name.lower()) is True
    for no in ({}, {name: ""}, {name: "0"}):
        assert getattr(options.read(no), name.lower()) is False
    with pytest.raises(CommandError, match=f"^{name}: expected {on}, or 0 .*, found true$"):
        options.read({name: "true"})


def test_words_are_taken_as_they_are():
    said = options.read({"TO": "s3://bucket", "FROM": "there", "K": "wine", "ARGS": "--quick"})
    assert (said.to, said.from_, said.k, said.args) == ("s3://bucket", "there", "wine", "--quick")


def test_a_folder_may_be_in_a_home_and_a_home_that_is_not_there_is_named():
    assert options.folder("TO", "~/x") == Path.home() / "x"
    with pytest.raises(CommandError, match=r"^TO=~nobody-there/x: this machine has no such user$"):
        options.folder("TO", "~nobody-there/x")


def test_one_page_has_every_variable():
    page = (ROOT / "docs" / "settings.md").read_text().partition("## make")[2]
    documented = set(re.findall(r"`([A-Z_]+\d?)`", page))
    assert {f.name.upper().rstrip("_") for f in fields(options.Options)} <= documented
