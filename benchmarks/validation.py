"""How fast projects/validation reads a large CSV file, and in how much memory."""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

from benchmarks.options import Options
from benchmarks.processes import memory
from harness.report import Section, say

PROJECT = Path(__file__).resolve().parent.parent / "projects" / "validation"
HEADER = "id,when,station,temperature,humidity,wind,remark\n"
STATIONS = ("Aachen", "Bremen", "Celle", "Dresden")
ROWS = 10_000  # written at a time
WATCH_SECONDS = 0.2
SCHEMA = "schema.json"


def measure(options: Options) -> list[Section]:
    """Validate a clean file of `megabytes`: plain, with quoted fields, against a schema."""
    rows, data = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = write(folder / "sample.csv", 1, quoted=False)
        run(sample, "--save-schema", str(folder / SCHEMA))
        for case in ("plain", "quoted", "plain, against a schema"):
            path = write(folder / "data.csv", options.megabytes, quoted=case == "quoted")
            size, more = path.stat().st_size / 1e6, []
            if "schema" in case:
                more = ["--schema", str(wide_enough(folder / SCHEMA))]
            say(f"validation: {size:,.0f} MB, {case}")
            seconds, peaks = [], []
            for _ in range(min(options.rounds, 3)):
                took, peak = run(path, *more)
                seconds.append(took)
                peaks.append(peak)
            speed, peak = size / median(seconds), max(peaks) / 2**20
            rows.append([case, f"{median(seconds):.1f}", f"{speed:.0f}", f"{peak:.0f}"])
            data[case] = {"seconds": seconds, "peak_bytes": peaks, "megabytes": size}
    return [
        Section(
            title="Validation of a large file",
            columns=["", "seconds", "MB/s", "peak memory, MiB PSS"],
            rows=rows,
            summary=f"a clean CSV file of {size:,.0f} MB, 7 columns, with duplicates looked for, "
            "the start of Python included",
            data=data,
        )
    ]


def run(path: Path, *more: str) -> tuple[float, int]:
    """Seconds, and the most bytes of PSS, of a validation that must pass."""
    command = [sys.executable, "validate.py", "--filename", str(path), "--log", "false"]
    began, peak = time.perf_counter(), 0
    with subprocess.Popen([*command, "--max-errors", "0", *more], cwd=PROJECT) as process:
        while True:
            try:
                peak = max(peak, memory(process.pid))
                process.wait(WATCH_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
            except psutil.NoSuchProcess:
                process.wait()
                break
    if process.returncode:
        raise RuntimeError(f"validation of {path.name} failed with status {process.returncode}")
    return time.perf_counter() - began, peak


def write(path: Path, megabytes: int, quoted: bool) -> Path:
    """A file without defects, of numbers, dates, categories and text."""
    left = megabytes * 10**6
    with path.open("w", encoding="utf-8", newline="") as file:
        left -= file.write(HEADER)
        for piece in pieces(quoted):
            left -= file.write(piece)
            if left <= 0:
                return path
    return path


def pieces(quoted: bool) -> Iterator[str]:
    """Rows without end, each different."""
    chance, number = random.Random(1), 0
    remarks = ("dry", "rain, at times" if quoted else "rain at times", "fog until noon")
    mark = '"' if quoted else ""
    while True:
        lines = []
        for _ in range(ROWS):
            x, number = chance.random(), number + 1
            when = f"2026-03-{number % 28 + 1:02d}T{number % 24:02d}:00:00"
            lines.append(
                f"{number},{when},{STATIONS[number % 4]},{30 * x - 5:.1f},{int(60 * x) + 30},"
                f"{12 * x:.2f},{mark}{remarks[number % 3]}{mark}\n"
            )
        yield "".join(lines)


def wide_enough(schema: Path) -> Path:
    """The schema of the small file, whose ids do not go as far as the large one's."""
    text = json.loads(schema.read_text())
    text["columns"]["id"].pop("in_range", None)
    schema.write_text(json.dumps(text))
    return schema
