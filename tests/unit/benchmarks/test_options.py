"""Flags, and what is refused before anything starts."""

from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS, USUAL, parse
from benchmarks.options import QUICK, Options
from benchmarks.report import save
from harness.report import Section
from host.user.pages import BEGIN, END


def test_without_flags_the_usual_parts_are_measured_in_full():
    assert parse([]) == (USUAL, Options())


def test_a_part_that_is_named_twice_is_measured_once():
    parts, _ = parse(["serving", "serving"])

    assert parts == ["serving"]


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
        (["--runs", "0"], "--runs: 0 is not from 1 to 100000"),
        (["--page", "nowhere.md"], "--page: no file 'nowhere.md'"),
        (["--models", "best"], "--models: no 'best': logistic, forest, boosting, mixed, text"),
        (["--clients", "1,none"], "--clients: '1,none' is no list of numbers"),
        (["--rows", "1,101"], "--rows: 101 is not from 1 to 100"),
        (["--cores", "some"], "--cores: 'some' is not all or rest"),
    ],
)
def test_a_wrong_flag_is_refused_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)

    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(message)


def test_figures_are_written_between_the_marks_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    marks = {part: (BEGIN.format(part=part), END.format(part=part)) for part in PARTS}
    page.write_text(
        "\n".join(f"{begin}\nold {part}\n{end}" for part, (begin, end) in marks.items())
    )
    section = Section("Title", ["a", "b"], [["1", "2"]], "twice as good", pictures={"it": "<svg/>"})

    for _ in range(2):
        options = Options(output=str(tmp_path), page=str(page))
        written = save(options, {"memory": "1"}, {"serving": [section]})

    text = page.read_text()
    begin, end = marks["serving"]
    figures = text.partition(begin)[2].partition(end)[0]
    assert figures.startswith(
        "\n### Title\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nTwice as good."
    )
    assert "![it](it.svg)" in figures
    assert [text.count(old) for old in ("old tracking", "old logging", "old serving")] == [1, 1, 0]
    assert (tmp_path / "it.svg").read_text() == "<svg/>"
    assert Path(written[0]).suffix == ".json"


def test_the_page_of_the_documentation_has_the_marks_of_every_part():
    text = Path("docs/figures.md").read_text()

    for part in PARTS:
        assert text.index(BEGIN.format(part=part)) < text.index(END.format(part=part))
