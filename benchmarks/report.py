"""Tables for people, in Markdown, and JSON for programs."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.options import Options
from harness.report import Section
from host.user.pages import insert


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
    sections = [section for those in parts.values() for section in those]
    figures = [asdict(section) for section in sections]
    for one in figures:
        del one["pictures"]
    results = {"machine": machine, "options": asdict(options), "sections": figures}
    path = folder / f"{stamp}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
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
