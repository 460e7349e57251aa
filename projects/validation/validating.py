"""Validate a file, record what was found, and say whether it passed.

MLflow and pandera take seconds to import: where they are not needed, they are not imported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

import html_report
from checking import Examination, examine
from common.errors import BadInput
from csv_source import shown
from findings import Finding, plural, quoted

if TYPE_CHECKING:
    import mlflow

NONE = "none"  # what MLproject hands over where nothing is given
PRINTED = 10  # findings


@dataclass(frozen=True)
class Settings:
    """The parameters of the entry point `main`, as in MLproject."""

    filename: str
    max_errors: int
    log: bool
    schema: str
    save_schema: str


def validate(settings: Settings) -> None:
    """Validate a file and print what was found.

    Raises BadInput, the run being FAILED, where it has more findings than allowed, cannot be
    read, or is of no use.
    """
    name, schemas = settings.filename, (settings.schema, settings.save_schema)
    if not settings.log:
        check_file(name, name, settings.max_errors, None, *schemas)
        return
    from common.runs import record_parameters, recorded_run

    with recorded_run() as run:
        record_parameters(run, {**asdict(settings), "filename": shown(name)})
        check_file(name, name, settings.max_errors, run, *schemas)


def check_file(
    path: str,
    name: str,
    max_errors: int,
    run: mlflow.ActiveRun | None,
    schema: str = NONE,
    save_schema: str = NONE,
) -> None:
    """Examine the file at `path`, which the user calls `name`; record it if there is a run, and
    print the outcome. The schema is learned from a file that passes.

    Raises BadInput where it does not.
    """
    learn, enforced = save_schema != NONE, None
    if learn or schema != NONE:
        import learned_schema
    if learn:
        learned_schema.check_suffix(save_schema)
    if schema != NONE:
        enforced = learned_schema.load(schema)
    try:
        examination = examine(path, enforced, learn)
    except BadInput as error:
        raise BadInput(f"filename: {error.message}") from error
    if run:
        from common.runs import run_page
        from recording import record, record_schema

        record(run, name, examination, max_errors)
        click.echo(f"run        {run_page(run)}")
    click.echo(outcome(name, examination, max_errors))
    if why := html_report.failure(examination, max_errors):
        raise BadInput(f"{shown(name)}: {why}")
    if learn:
        learned = learned_schema.learn(examination.columns)
        learned_schema.save(learned, save_schema)
        if run:
            record_schema(learned_schema.as_text(learned, ".yaml"))
        click.echo(f"schema     {save_schema}: {plural(len(learned.columns), 'column')}")


def outcome(name: str, examination: Examination, max_errors: int) -> str:
    """The findings, in lines."""
    findings, rows = examination.findings, plural(examination.rows, "row")
    columns = plural(len(examination.columns), "column")
    lines = [
        f"file       {shown(name)}: {rows}, {columns}, {plural(examination.size, 'byte')}",
        f"findings   {findings.total():,} ({max_errors:,} allowed)",
    ]
    kept = findings.sorted()
    lines += [f"           {line(one)}" for one in kept[:PRINTED]]
    if (more := findings.total() - PRINTED) > 0:
        lines.append(f"           and {more:,} more")
    if not html_report.failure(examination, max_errors):
        lines.append("validated  the file passed")
    return "\n".join(lines)


def line(finding: Finding) -> str:
    """A finding in a line."""
    place = []
    if finding.row is not None:
        place.append(f"row {finding.row:,}" if finding.row else "header")
    if finding.column is not None:
        place.append(f"column {quoted(finding.column)}")
    where = ", ".join(place) or "file"
    return f"{finding.check}: {where}: {finding.detail}"
