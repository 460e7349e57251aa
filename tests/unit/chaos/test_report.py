"""The page says what was not seen to its end, and programs read it too."""

from chaos import report
from chaos.faults import BY_NAME
from chaos.load import CLIENTS
from chaos.summary import summarise
from chaos.trial import Result, Unfinished

STORM = Result(
    BY_NAME["storm"],
    seen={kind: summarise([], began=0, over=0) for kind in CLIENTS},
    back=1.5,
    acknowledged={"runs": 3, "metrics": 4000, "artifacts": 5, "versions": 6},
    lost=0,
    notes=["seed 7"],
    problems=["it rained"],
)
UNFINISHED = Unfinished(BY_NAME["net-data"], "docker network: status 1")


def test_the_table():
    lines = report.markdown([STORM, UNFINISHED], "What they see").splitlines()
    assert lines[0] == "### What they see"
    assert lines[4] == (
        "| storm | services killed at random; seed 7 | - | - | - | - | 1.5 s "
        "| 3 runs, 4,000 metrics, 5 artifacts | 0 |"
    )
    assert lines[5].startswith("| net-data | tracking unplugged from both for 10 s; not to its end")
    assert lines[5].count("|") == lines[4].count("|")
    assert lines[7] == (
        "3 runs, 4,000 metrics, 5 artifacts, 6 versions acknowledged in 1 faults, and read back: "
        "0 lost. Not as it should be: storm. Not to its end: net-data."
    )


def test_a_line_for_each_trouble():
    assert report.trouble([STORM, UNFINISHED]) == [
        "NOT AS IT SHOULD BE: storm: it rained",
        "NOT TO ITS END: net-data: docker network: status 1",
    ]
    assert report.as_dict(UNFINISHED) == {
        "fault": "net-data",
        "unfinished": "docker network: status 1",
    }


def test_where_nothing_came_to_its_end():
    assert "Nothing acknowledged in 0 faults" in report.markdown([UNFINISHED], "")
