"""The commands of README.md and of the projects' pages, for the tests that run them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
    found = [
        Block(match["by"], match["script"], text.count("\n", 0, match.start()) + 1)
        for match in BLOCK.finditer(text)
    ]
    return [block for block in found if by is None or block.by == by]
