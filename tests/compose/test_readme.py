"""README's commands for the Compose stack, as a user pastes them one after the other."""

import re

from harness.readme import blocks, paste


def test_readme_commands_do_what_they_say(stack, hub):
    printed = ""
    for block in blocks("compose"):
        done = paste(block.script, stack, hub)
        assert done.returncode == 0, f"README.md:{block.line}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    assert '{"predictions": ["barolo"]}' in printed
    labels = re.findall(r'"label": "(\w+)"', printed)
    assert labels == ["complaint", "praise"]
    assert re.search(r'\{"predictions": \[\{"output": "[^"]+"\}\]\}', printed)
    assert '"name":"wine"' in printed
