"""README's commands for the Compose stack, as a user pastes them one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.readme import blocks


def paste(script: str, stack, hub: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `script` in the clone, with only the addresses replaced, the hub's by variables."""
    for readme, ours in (
        ("localhost:5000", f"localhost:{stack.tracking_port}"),
        ("localhost:8080", f"localhost:{stack.serving_port}"),
    ):
        script = script.replace(readme, ours)
    binaries = str(Path(sys.executable).parent)
    path = os.pathsep.join([binaries, os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=stack.folder,
        env=stack.environment(PATH=path, **hub),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_readme_commands_do_what_they_say(stack, hub):
    printed = ""
    for block in blocks("stack"):
        done = paste(block.script, stack, hub)
        assert done.returncode == 0, f"README.md:{block.line}\n{done.stdout}{done.stderr}"
        printed += done.stdout
    assert '{"predictions": ["barolo"]}' in printed
    labels = re.findall(r'"label": "(\w+)"', printed)
    assert labels == ["complaint", "praise"]
    assert re.search(r'\{"predictions": \[\{"output": "[^"]+"\}\]\}', printed)
    assert '"name":"wine"' in printed
