"""Look at a file once, from its first byte to its last, and say what is wrong with it."""

import time
from dataclasses import dataclass

import click
import numpy as np

from column_profile import Column
from csv_records import PIECE, Records
from csv_source import Source, opened
from findings import SHOWN, Findings, plural, quoted
from repeated_rows import RepeatedRows

QUIET_SECONDS, BETWEEN_SECONDS = 2.0, 3.0  # before the first line of progress, and the next


@dataclass(frozen=True)
class Examination:
    """What is known of a file: `columns` in its order, `digest` the SHA-256 of its bytes."""

    size: int
    digest: str
    rows: int
    columns: list[Column]
    findings: Findings


def examine(name: str, schema: object = None, learn: bool = False) -> Examination:
    """Read a path or URI and find what is wrong with it, against a pandera schema if given;
    `learn` says whether the columns' categories will be needed.

    Raises BadInput where the file cannot be read.
    """
    findings = Findings()
    with opened(name) as source, RepeatedRows() as repeated:
        records = Records(source, findings)
        header, progress = records.header, Progress(source)
        columns = [Column(column, learn) for column in header]
        look_at_header(header, records.labels, findings)
        enforcement = enforcing(schema, header, findings)
        for block in records.blocks():
            repeated.add(block.contents, block.numbers)
            for column, cells in zip(columns, block.cells, strict=True):
                column.add(cells, block.rows)
            if enforcement:
                enforcement.check(block)
            progress.say(findings)
        while source.read(PIECE):  # what an unterminated quote has left, for the digest
            pass
        look_at_columns(columns, records.labels, findings)
        look_at_repeated(repeated, findings)
        if not records.rows and not findings.fatal():
            findings.add("no_rows", None, None, f"the header names {plural(len(header), 'column')}")
    return Examination(source.done, source.digest.hexdigest(), records.rows, columns, findings)


def enforcing(schema: object, header: list[str], findings: Findings) -> object:
    """What holds blocks against a schema, if there is one."""
    if schema is None:
        return None
    from learned_schema import Enforcement  # pandera takes a second to import

    return Enforcement(schema, header, findings)


def look_at_header(header: list[str], labels: list[str], findings: Findings) -> None:
    """Names that are none, or not the column's own."""
    seen: set[str] = set()
    for name, label in zip(header, labels, strict=True):
        if not name.strip() or name.strip().startswith("Unnamed"):
            findings.add("unnamed", 0, label, quoted(name))
        elif name.strip() in seen:
            findings.add("duplicate_names", 0, label, f"an earlier column is {quoted(name)}, too")
        seen.add(name.strip())
    if len(header) == 1:
        separators = [sign for sign in (";", "\t", "|") if sign in header[0]]
        hint = f"are fields separated by {quoted(separators[0])}, not ','?" if separators else ""
        findings.add("one_column", None, labels[0], hint or "nothing to learn it from, or from it")


def look_at_columns(columns: list[Column], labels: list[str], findings: Findings) -> None:
    """Columns without values or with a single one, and values unlike the others."""
    for column, label in zip(columns, labels, strict=True):
        if column.rows and column.missing == column.rows:
            findings.add("empty_columns", None, label, f"{plural(column.rows, 'row')}, no value")
        elif column.rows > 1 and column.is_constant:
            findings.add("constant_columns", None, label, f"always {quoted(column.constant)}")
        number, firsts = column.odd_ones()
        for row, value in firsts:
            detail = f"{quoted(value)} is not a {column.kind()}, as most are"
            findings.add("mixed_types", row, label, detail)
        findings.count_more("mixed_types", number - len(firsts))


def look_at_repeated(repeated: RepeatedRows, findings: Findings) -> None:
    """Rows that are there already; the first of them all are kept."""
    number, firsts = 0, np.empty((0, 2), np.int64)
    for pairs in repeated.repeated():
        number += len(pairs)
        firsts = np.concatenate([firsts, pairs])
        firsts = firsts[np.argsort(firsts[:, 0])][:SHOWN]
    for row, first in firsts.tolist():
        findings.add("duplicate_rows", row, None, f"the same as row {first}")
    findings.count_more("duplicate_rows", number - len(firsts))


class Progress:
    """A line every few seconds, on terminals and in logs alike, if it takes longer than two."""

    def __init__(self, source: Source) -> None:
        self.source, self.began = source, time.monotonic()
        self.next = self.began + QUIET_SECONDS

    def say(self, findings: Findings) -> None:
        """Say how far it is, if it is time to."""
        if (now := time.monotonic()) < self.next or self.source.done == self.source.size:
            return
        self.next = now + BETWEEN_SECONDS
        done = self.source.done / 1e6
        of = f" of {self.source.size / 1e6:,.0f}" if self.source.size else ""
        count = plural(findings.total(), "finding")
        speed = done / (now - self.began)
        click.echo(f"checked {done:,.0f}{of} MB, {speed:.0f} MB/s, {count} so far", err=True)
