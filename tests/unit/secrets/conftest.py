"""A stack's secrets in folders of a test; fingerprints cost nothing."""

import pytest

from stack_secrets import fingerprint
from tests.unit.secrets.keeping import Stack


@pytest.fixture(autouse=True)
def cheap_fingerprints(monkeypatch):
    monkeypatch.setitem(fingerprint.COST, "n", 2)


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


@pytest.fixture
def running(stack, capsys):
    """A stack that was started once and has data."""
    assert stack.run() == 0
    stack.fill()
    capsys.readouterr()
    return stack
