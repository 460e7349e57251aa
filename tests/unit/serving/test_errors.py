"""What is told of an exception."""

import pytest

from model_server.errors import REASON_LIMIT, reason


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("X has 3 features"), "ValueError: X has 3 features"),
        (KeyError("a"), "KeyError: 'a'"),
        (ValueError(), "ValueError"),
        (MuteError(), "MuteError"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("names differ:\n- a\n\n- b\n"), "ValueError: names differ: - a - b"),
        (OSError("no /srv/models/x/model.pkl"), "OSError: no model.pkl"),
        (OSError("no https://me:secret@db.example/x"), "OSError: no https://db.example/x"),
        (ValueError("half \ud83d"), "ValueError: half ?"),
    ],
)
def test_reason_is_one_line_without_folders(error, told):
    assert reason(error) == told


def test_reason_of_many_lines_has_the_last_one():
    lines = ["Input: " + "7" * 10**5, *["  at a place"] * 10**5, "expected 4 columns, found 3"]
    told = reason(ValueError("\n".join(lines)))
    assert told.startswith("ValueError: Input: 777")
    assert told.endswith("... expected 4 columns, found 3")
    assert len(told) == REASON_LIMIT


def test_reason_is_bounded():
    told = reason(ValueError("word " * 10**6))
    assert len(told) == REASON_LIMIT
    assert told.endswith("...")
