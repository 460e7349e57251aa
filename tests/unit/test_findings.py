"""The index of findings/ has each script, and each script says what it is about."""

import os
import re

import pytest

from host.paths import ROOT

FINDINGS = ROOT / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))


def test_index_has_every_script_once():
    linked = re.findall(r"\]\(([\w-]+\.sh)\)", (FINDINGS / "README.md").read_text())
    assert sorted(linked) == [path.name for path in SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_can_be_run_and_says_what_is_expected_and_seen(script):
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert re.search(r"^# Expected: .*^# Seen: .*^#   \S", text, re.MULTILINE | re.DOTALL)
    assert re.search(r"==\d", text), "no version is pinned"
