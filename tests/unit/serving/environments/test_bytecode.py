"""What environments have compiled is there for the others."""

import os
import py_compile
from pathlib import Path

from model_server.environments.bytecode import share_bytecode
from model_server.environments.messages import MARKER

SITE = Path("lib/python3.11/site-packages")


def environment(root: Path, name: str, *modules: Path) -> Path:
    """Make one that links to these modules."""
    folder = root / name
    (folder / SITE).mkdir(parents=True)
    for module in modules:
        os.link(module, folder / SITE / module.name)
    (folder / MARKER).touch()
    return folder


def test_bytecode_of_equal_files_is_shared_and_of_others_is_not(tmp_path):
    (tmp_path / "downloads").mkdir()
    same, other = (tmp_path / "downloads" / name for name in ("same.py", "other.py"))
    same.write_text("a = 1")
    other.write_text("b = 1")
    first = environment(tmp_path, "first", same, other)
    for module in (first / SITE).glob("*.py"):
        py_compile.compile(str(module))
    second = environment(tmp_path, "second", same)
    (second / SITE / "other.py").write_text("b = 2")
    assert share_bytecode(second) == 1
    (compiled,) = (second / SITE / "__pycache__").iterdir()
    assert compiled.name.startswith("same.")
    assert compiled.samefile(first / SITE / "__pycache__" / compiled.name)
    assert share_bytecode(second) == 0, "it is there already"


def test_environment_that_is_not_whole_shares_nothing(tmp_path):
    module = tmp_path / "same.py"
    module.write_text("a = 1")
    half = environment(tmp_path, "half", module)
    py_compile.compile(str(half / SITE / "same.py"))
    (half / MARKER).unlink()
    assert share_bytecode(environment(tmp_path, "whole", module)) == 0
