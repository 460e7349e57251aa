"""Progress while it runs; then tables for people, in Markdown, and JSON for programs."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.options import Options

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
BEGAN = time.monotonic()


@dataclass(frozen=True)
class Section:
    """One table, the sentence below it, and the numbers that both come from."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    summary: str
    data: dict = field(default_factory=dict)

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"### {self.title}\n\n{table}\n\n{self.summary[0].upper()}{self.summary[1:]}.\n"


def say(line: str) -> None:
    """One line of progress, with minutes and seconds since the start."""
    minutes, seconds = divmod(int(time.monotonic() - BEGAN), 60)
    print(f"{minutes:3d}:{seconds:02d} {line}", file=sys.stderr, flush=True)


def markdown(options: Options, machine: dict[str, str], sections: list[Section]) -> str:
    """The whole report."""
    sizes = {
        name: value for name, value in asdict(options).items() if isinstance(value, int | float)
    }
    facts = [f"{name} {value}" for name, value in {**machine, **sizes}.items()]
    tables = [section.markdown() for section in sections]
    return "\n".join([*tables, f"Measured {time.strftime('%Y-%m-%d')} on: {', '.join(facts)}."])


def save(options: Options, machine: dict[str, str], sections: list[Section]) -> list[Path]:
    """Write the figures as JSON and Markdown, and into a page if one is named; the paths."""
    folder, text = Path(options.output), markdown(options, machine, sections)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    figures = [asdict(section) for section in sections]
    found = {"machine": machine, "options": asdict(options), "sections": figures}
    path.write_text(json.dumps(found, indent=1) + "\n")
    path.with_suffix(".md").write_text(text + "\n")
    written = [path, path.with_suffix(".md")]
    if options.page:
        page = Path(options.page)
        before, _, rest = page.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        written.append(page)
    return written
