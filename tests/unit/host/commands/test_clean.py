"""What `make clean` must not take."""

from types import SimpleNamespace

import pytest

from host.commands import clean
from host.user import options
from host.user.terminal import CommandError


def test_a_stack_of_the_same_name_made_elsewhere_is_left_alone(monkeypatch):
    cleaned = []
    mode = SimpleNamespace(
        other_checkouts=lambda: ["/other/checkout"],
        holds=lambda: ["volumes"],
        servers=list,
        clean=lambda: cleaned.append("all"),
    )
    selection = SimpleNamespace(unasked="", modes=[mode])
    monkeypatch.setattr(clean.choice, "holding_data", lambda _: selection)
    monkeypatch.setattr(clean.settings, "read", lambda: None)
    with pytest.raises(CommandError, match=r"/other/checkout.*COMPOSE_PROJECT_NAME"):
        clean.main(options.read({"YES": "1"}))
    assert cleaned == []
