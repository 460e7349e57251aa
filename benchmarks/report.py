"""Progress while it runs; then tables for people, in Markdown, and JSON for programs."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.options import Options

BEGIN, END = "<!-- figures: {part} -->", "<!-- end of figures: {part} -->"
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


def markdown(
    options: Options, machine: dict[str, str], sections: list[Section], prefix: str = ""
) -> str:
    """Some sections and what they were measured on."""
    sizes = {
        name: value for name, value in asdict(options).items() if isinstance(value, int | float)
    }
    facts = [f"{name} {value}" for name, value in {**machine, **sizes}.items()]
    tables = [section.markdown(prefix) for section in sections]
    return "\n".join([*tables, f"Measured {time.strftime('%Y-%m-%d')} on: {', '.join(facts)}."])


def save(options: Options, machine: dict[str, str], parts: dict[str, list[Section]]) -> list[Path]:
    """Write the figures as JSON and Markdown, and into a page if one is named; the paths."""
    folder, stamp = Path(options.output), time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    sections = [section for found in parts.values() for section in found]
    figures = [asdict(section) for section in sections]
    for one in figures:
        del one["pictures"]
    found = {"machine": machine, "options": asdict(options), "sections": figures}
    path = folder / f"{stamp}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    text = markdown(options, machine, sections, f"{stamp}-")
    path.with_suffix(".md").write_text(text + "\n")
    written = [path, path.with_suffix(".md"), *_draw(folder, sections, f"{stamp}-")]
    if options.page:
        page = Path(options.page)
        for part, those in parts.items():
            insert(page, part, markdown(options, machine, those))
        written += [page, *_draw(page.parent, sections)]
    return written


def _draw(folder: Path, sections: list[Section], prefix: str = "") -> list[Path]:
    paths = []
    for section in sections:
        for name, picture in section.pictures.items():
            paths.append(folder / f"{prefix}{name}.svg")
            paths[-1].write_text(picture)
    return paths


def insert(page: Path, part: str, text: str) -> None:
    """Put the figures of a part between its two marks."""
    begin, end = BEGIN.format(part=part), END.format(part=part)
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
