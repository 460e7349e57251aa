"""Progress of what takes minutes, and what it found."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

BEGAN = time.monotonic()


@dataclass(frozen=True)
class Section:
    """One table, the sentence below it, pictures, and the numbers that all come from."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str
    data: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)  # SVG by name

    def markdown(self, prefix: str = "") -> str:
        """prefix: what the pictures' files have before their names."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        shown = "".join(f"\n![{name}]({prefix}{name}.svg)\n" for name in self.pictures)
        summary = f"{self.summary[0].upper()}{self.summary[1:]}."
        return f"### {self.title}\n\n{table}\n\n{summary}\n{shown}"


def say(line: str) -> None:
    """One line of progress, with minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"{minutes:3d}:{seconds:02d} {line}", file=sys.stderr, flush=True)
