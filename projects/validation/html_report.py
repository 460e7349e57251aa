"""The report for people: one page that needs nothing else, all escaped."""

from pathlib import Path

from jinja2 import Environment

from checking import Examination
from column_profile import Column
from findings import CHECKS, plural, quoted

PAGE = Path(__file__).with_name("page.html.jinja")
COLUMNS = 200  # shown at most


def page(name: str, examination: Examination, max_errors: int) -> str:
    """The report on a file, called `name`, as HTML. Everything in it is escaped."""
    findings = examination.findings
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        PAGE.read_text(encoding="utf-8")
    )
    return template.render(
        name=name,
        failure=failure(examination, max_errors),
        total=plural(findings.total(), "finding"),
        facts={
            "rows": f"{examination.rows:,}",
            "columns": f"{len(examination.columns):,}",
            "bytes": f"{examination.size:,}",
            "findings allowed": f"{max_errors:,}",
            "SHA-256": examination.digest,
        },
        checks=sorted(
            ((check, findings.counts[check.name]) for check in CHECKS.values()),
            key=lambda pair: not pair[1],
        ),
        findings=findings.sorted(),
        left_out=findings.total() - len(findings.kept),
        columns=[facts(column) for column in examination.columns[:COLUMNS]],
        more=max(0, len(examination.columns) - COLUMNS),
    )


def failure(examination: Examination, max_errors: int) -> str:
    """Why a file does not pass, empty if it does."""
    findings = examination.findings
    counts = {name: count for name, count in findings.counts.items() if count}
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    if fatal := findings.fatal():
        return f"the file cannot be used ({', '.join(fatal)}): {listed}"
    if findings.total() > max_errors:
        return f"{plural(findings.total(), 'finding')}, {max_errors:,} allowed: {listed}"
    return ""


def facts(column: Column) -> dict[str, str]:
    """The report's lines on a column."""
    there = column.rows - column.missing
    kind, seen = column.kind(), ""
    if there and kind == "number":
        seen = f"{column.least:.6g} to {column.most:.6g}"
    elif there:
        seen = ", ".join(dict.fromkeys(quoted(value) for _, value in column.examples[kind][:5]))
    return {
        "name": column.name,
        "kind": kind if there else "",
        "missing": f"{column.missing:,}",
        "values": seen,
    }
