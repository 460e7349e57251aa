"""Small benchmarks run to their end, stop what they started, and give every figure."""

import json
import subprocess
import sys

import psutil
import pytest

from harness.processes import clean_environment
from host.paths import ROOT


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("part", "flags", "titles", "rows"),
    [
        ("logging", [], ["Ways of logging"], [5]),
        (
            "serving",
            ["--servers", "ours,mlflow models serve,bare uvicorn", "--clients", "1,16"],
            ["what is asked of it", "scaled logistic regression", "where a request's time goes"],
            [14, 6, 2],
        ),
    ],
)
def test_a_quick_run_prints_and_saves_its_figures(tmp_path, part, flags, titles, rows):
    mark = f"BENCHMARK_{tmp_path.name}"
    command = [sys.executable, "-m", "benchmarks", part, "--quick", *flags, "--output", tmp_path]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(**{mark: "1"}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for title in titles:
        assert title in done.stdout
    (figures,) = (json.loads(file.read_text()) for file in tmp_path.glob("*.json"))
    assert [len(section["rows"]) for section in figures["sections"]] == rows
    assert figures["options"]["rounds"] == 1
    assert figures["machine"]["mlflow"] == "3.17.2"
    assert not [one for one in psutil.process_iter() if mark in environment_of(one)]


def environment_of(process):
    try:
        return process.environ()
    except psutil.Error:
        return {}
