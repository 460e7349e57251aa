"""The commands of README.md and of the projects' pages, for the tests that run them."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.stack import Stack
from host.paths import ROOT

README = ROOT / "README.md"

BLOCK = re.compile(
    r"(?:^<!-- run: (?P<by>[\w-]+) -->\n)?^```bash\n(?P<script>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One block of shell commands; `by` names the test that runs it (None: nobody said)."""

    by: str | None
    script: str
    line: int


def blocks(by: str | None = None, page: Path = README) -> list[Block]:
    """A page's blocks in their order, all of them or those that one test runs."""
    text = page.read_text()
    every = [
        Block(match["by"], match["script"], text.count("\n", 0, match.start()) + 1)
        for match in BLOCK.finditer(text)
    ]
    return [block for block in every if by is None or block.by == by]


def paste(script: str, stack: Stack, hub: dict[str, str]) -> subprocess.CompletedProcess[str]:
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
