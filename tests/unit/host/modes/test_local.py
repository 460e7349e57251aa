"""What the services of local mode are told."""

import pytest

from host.modes import local
from host.user import settings


@pytest.fixture
def serving(monkeypatch, tmp_path):
    """The variables of the model server under the given settings, without a .env."""
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return lambda **variables: local._serving(settings.read(variables)).environment


def test_only_a_default_model_that_the_user_names_is_one(serving):
    assert "SERVING_DEFAULT" not in serving()
    assert serving(SERVING_DEFAULT="mine")["SERVING_DEFAULT"] == "mine"


def test_stack_is_reached_past_proxies_besides_what_the_user_names(serving, monkeypatch):
    monkeypatch.setenv("no_proxy", "intranet")
    told = serving(STACK_HOST="[::1]")
    assert told["NO_PROXY"] == told["no_proxy"] == "intranet,localhost,127.0.0.1,::1"
