"""What is said behind `make COMMAND`: one way to say yes, and a line for everything else."""

import pytest

from host.user import options
from host.user.terminal import CommandError

SWITCHES = {"YES": "yes", "FIX": "fix", "UPGRADE": "upgrade", "ROTATE": "rotate", "FULL": "full"}
REQUIRED = {"AUDIT": "audit_required", "COMPOSE_TIER": "compose_required"}


@pytest.mark.parametrize(
    ("name", "field", "on"),
    [
        *((*pair, "1") for pair in SWITCHES.items()),
        *((*pair, "required") for pair in REQUIRED.items()),
    ],
)
def test_every_switch_is_said_in_the_same_way(name, field, on):
    assert getattr(options.read({name: on}), field) is True
    for no in ({}, {name: ""}, {name: "0"}):
        assert getattr(options.read(no), field) is False
    with pytest.raises(CommandError, match=f"^{name}: expected {on}, or 0 .*, found true$"):
        options.read({name: "true"})


def test_words_are_taken_as_they_are():
    said = options.read({"TO": "s3://bucket", "FROM": "there", "K": "wine", "ARGS": "--quick"})
    assert (said.to, said.origin, said.selection) == ("s3://bucket", "there", "wine")
    assert said.arguments == "--quick"
