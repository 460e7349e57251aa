"""What tests of the worker's side share."""

import pytest

from model_server.log import Few
from model_server.scoring import raised


@pytest.fixture(autouse=True)
def no_failures_a_moment_ago(monkeypatch):
    """Each test may leave as many lines in the log as a worker within a second."""
    monkeypatch.setattr(raised, "_few", Few(raised._later, raised._say_more))
