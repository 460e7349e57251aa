"""What the commands for users and permissions say of themselves."""

import re

import pytest

from tracking_server.__main__ import main


def help_of(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "actions"),
    [
        ("user", {"add", "list", "password", "remove"}),
        ("permission", {"grant", "list", "revoke"}),
    ],
)
def test_help_explains_every_action_and_argument(capsys, command, actions):
    assert set(re.findall(r"^    (\w+)  ", help_of(capsys, command), re.MULTILINE)) == actions
    for action in actions:
        lines = help_of(capsys, command, action).splitlines()
        # A name, and what it is: beside it, or in the next line, further in.
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            if re.match(r"  \S", line):
                assert "  " in line.strip() or after.startswith("      "), (command, action, line)
