"""Holds for every test here: fingerprints cost nothing."""

import pytest

from stack_secrets import fingerprint


@pytest.fixture(autouse=True)
def cheap_fingerprints(monkeypatch):
    monkeypatch.setitem(fingerprint.COST, "n", 2)
