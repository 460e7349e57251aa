"""The front page keeps its word: each command is run by a test, each link leads somewhere."""

import re

import pytest

from harness.readme import README, blocks
from host.paths import ROOT

# Who runs the blocks so marked.
RUN_BY = {
    "ci": ".ci/run",
    "demo": "tests/integration/host/test_demo.py",
    "compose": "tests/compose/test_readme.py",
    "backup": "tests/compose/test_backup.py",
    "team": "tests/compose/team/test_team.py",
    "projects": "tests/compose/test_projects.py",
    "script": "tests/integration/serving/test_readme.py",
    "model-server": "tests/integration/serving/test_readme.py",
}


def test_every_command_is_run_by_a_test():
    for block in blocks():
        assert block.by in RUN_BY, f"README.md:{block.line}: no test runs this block"


def test_the_tests_that_run_commands_do_so():
    for by, path in RUN_BY.items():
        script = (ROOT / path).read_text()
        wanted = "make test" if by == "ci" else f'blocks("{by}")'
        assert wanted in script, f"{path} does not run the blocks marked {by!r}"
        assert blocks(by), f"README.md has no block marked {by!r}"


PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*/README.md"),
        *ROOT.glob("*/*/README.md"),
        *ROOT.glob("services/*/REFERENCE.md"),
    }
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^):]*))?\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), f"links to {target}, which is missing"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"links to {target}#{anchor}, which is missing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_a_page_names_are_there(page):
    named = re.findall(r"tests/[\w/]+(?:\.py)?", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


FIGURES = re.compile(r"^<!-- figures: .*?^<!-- end of figures", re.MULTILINE | re.DOTALL)
CLAIM = re.compile(r"([\d.,]*\d)(?: and ([\d.,]*\d))? times")


def anchors(page):
    """Anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def measured() -> str:
    """All that benchmarks have written into pages."""
    pages = (page.read_text() for page in (ROOT / "docs").glob("*.md"))
    return "\n".join(table for page in pages for table in FIGURES.findall(page))


def test_performance_is_claimed_only_with_figures():
    """Each "N times" of the front page is a figure that a benchmark wrote."""
    claims = {number for pair in CLAIM.findall(README.read_text()) for number in pair if number}
    assert claims, "the front page says how fast it is"
    assert claims - set(re.findall(r"[\d.,]*\d", measured())) == set()


def test_tables_of_the_page_for_people_are_figures_rounded():
    page = (ROOT / "docs" / "performance.md").read_text()
    cells = [cell.replace(",", "") for cell in re.findall(r"(?<=\| )[\d.,]*\d", page)]
    numbers = [float(x.replace(",", "")) for x in re.findall(r"\d[\d,]*(?:\.\d+)?", measured())]
    assert len(cells) > 20
    for cell in cells:
        assert float(cell) in {round(one, len(cell.partition(".")[2])) for one in numbers}, cell
