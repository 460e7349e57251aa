"""Flags, and what is refused before anything starts."""

from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS, parse
from benchmarks.options import QUICK, Options
from benchmarks.report import BEGIN, END, Section, save


def test_without_flags_everything_is_measured_in_full():
    assert parse([]) == (list(PARTS), Options())


def test_a_flag_wins_over_quick():
    parts, options = parse(["serving", "--quick", "--rounds", "3"])

    assert parts == ["serving"]
    assert options == Options(**(QUICK | {"rounds": 3}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "no part 'speed'"),
        (["--rounds", "0"], "--rounds: 0 is not from 1 to 100000"),
        (["--seconds", "much"], "argument --seconds: invalid float value: 'much'"),
        (["--seconds", "nan"], "--seconds: nan is not from 0.5 to 100000"),
        (["--runs", "15"], "--runs: 15 is not from 16 to 100000"),
        (["--page", "nowhere.md"], "--page: no file 'nowhere.md'"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)

    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)


def test_figures_are_written_between_the_marks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    section = Section("Title", ["a", "b"], [["1", "2"]], "twice as good")

    for _ in range(2):
        written = save(Options(output=str(tmp_path), page=str(page)), {"memory": "1"}, [section])

    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n### Title\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("Twice as good.") == 1
    assert Path(written[0]).suffix == ".json"


def test_the_page_of_the_documentation_has_the_marks():
    text = Path("docs/performance.md").read_text()

    assert text.index(BEGIN) < text.index(END)
