"""Parts of the documentation that programs write."""

from pathlib import Path

BEGIN, END = "<!-- figures: {part} -->", "<!-- end of figures: {part} -->"


def insert(page: Path, part: str, text: str) -> None:
    """Put the figures of a part between its two marks."""
    begin, end = BEGIN.format(part=part), END.format(part=part)
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
