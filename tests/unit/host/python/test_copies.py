"""Copies of `common` in the example projects, as users make their own of them."""

import pytest

from host.python import copies

MODULES = {
    "__init__": "",
    "split": "from common.errors import BadInputError\n",
    "errors": "class BadInputError(Exception): ...\n",
    "runs": "",
}


@pytest.fixture
def projects(monkeypatch, tmp_path):
    """wine, with all of it, and `mine` with a main.py of the test's."""
    for name in ("wine", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLproject").touch()
    (tmp_path / "wine" / "common").mkdir()
    for name, text in MODULES.items():
        (tmp_path / "wine" / "common" / f"{name}.py").write_text(text)
    monkeypatch.setattr(copies, "ROOT", tmp_path)
    monkeypatch.setattr(copies, "PROJECTS", tmp_path)
    monkeypatch.setattr(copies, "ORIGINAL", tmp_path / "wine" / "common")
    return tmp_path


def common(projects):
    return {path.name for path in (projects / "mine").glob("common/*")}


@pytest.mark.parametrize(
    "line",
    ["from common.split import fold", "import common.split", "from common import split"],
)
def test_what_is_imported_is_copied_with_what_that_imports(projects, line):
    (projects / "mine" / "main.py").write_text(f"def main():\n    {line}\n")
    assert copies.stale(fix=False) == ["mine/common is not as in wine: make lint FIX=1"]
    assert copies.stale(fix=True) == []
    assert common(projects) == {"__init__.py", "split.py", "errors.py"}
    assert copies.stale(fix=False) == []


def test_a_folder_below_counts_too(projects):
    (projects / "mine" / "parts").mkdir()
    (projects / "mine" / "parts" / "one.py").write_text("from common.runs import run\n")
    copies.stale(fix=True)
    assert common(projects) == {"__init__.py", "runs.py"}


def test_a_project_without_it_is_left_alone(projects):
    (projects / "mine" / "main.py").write_text('"""from common.split import x"""\n')
    assert copies.stale(fix=False) == []
    copies.stale(fix=True)
    assert not (projects / "mine" / "common").exists()


def test_modules_of_ones_own_stay(projects):
    (projects / "mine" / "main.py").write_text("import common.helper\nimport common.runs\n")
    assert "mine/common/helper.py is not there" in copies.stale(fix=False)
    (projects / "mine" / "common").mkdir()
    (projects / "mine" / "common" / "helper.py").write_text("HELP = 1\n")
    assert copies.stale(fix=True) == []
    assert (projects / "mine" / "common" / "helper.py").read_text() == "HELP = 1\n"


def test_a_changed_copy_is_told_and_one_that_nothing_needs_goes(projects):
    (projects / "mine" / "main.py").write_text("import common.runs\n")
    (projects / "mine" / "common").mkdir()
    for name in ("__init__", "runs", "errors"):
        (projects / "mine" / "common" / f"{name}.py").write_text("changed = True\n")
    assert copies.stale(fix=False) == ["mine/common is not as in wine: make lint FIX=1"]
    copies.stale(fix=True)
    assert common(projects) == {"__init__.py", "runs.py"}
    assert (projects / "mine" / "common" / "runs.py").read_text() == ""
