"""Secrets of local mode: made once, replaced by the user's, never changed under stored data."""

import pytest

from host.processes import keys
from host.user.terminal import CommandError

GOOD = "another-passphrase"


@pytest.fixture
def place(monkeypatch, tmp_path):
    """A folder with an empty secrets/, and the database that the passphrase is for."""
    monkeypatch.setattr(keys, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(keys, "GIVEN", tmp_path / "given")
    (tmp_path / "given").mkdir()
    return tmp_path


@pytest.fixture
def filled(place):
    """The same, after the first start."""
    assert keys.keep(place / "database")
    (place / "database").touch()
    return place


def kept(place):
    return {path.name: path.read_text() for path in (place / "kept").iterdir()}


def test_second_start_keeps_what_the_first_made(filled):
    before = kept(filled)
    assert set(before) == set(keys.NAMES)
    assert not keys.keep(filled / "database")
    assert kept(filled) == before


@pytest.mark.parametrize("name", keys.NAMES)
@pytest.mark.parametrize(
    "value", ["", "short", "x" * 129, "spaces in between", "two\nlines-of-it", "übergrößenträger"]
)
def test_given_file_that_is_no_secret_is_named_and_changes_nothing(filled, name, value):
    before = kept(filled)
    (filled / "given" / name).write_text(value)
    with pytest.raises(CommandError, match=rf"{name}: expected 12 to 128 .*openssl rand"):
        keys.keep(filled / "database")
    assert kept(filled) == before


def test_folder_that_is_given_is_no_secret(place):
    (place / "given" / keys.KEK).mkdir()
    with pytest.raises(CommandError, match="expected 12 to 128"):
        keys.keep(place / "database")


def test_given_file_that_is_not_text_is_refused(place):
    (place / "given" / keys.KEK).write_bytes(bytes(range(128, 160)))
    with pytest.raises(CommandError, match="expected 12 to 128"):
        keys.keep(place / "database")


@pytest.mark.parametrize("fate", ["lost", "damaged", "changed"])
def test_another_passphrase_is_taken_only_when_asked_for(filled, fate, capsys):
    old = kept(filled)[keys.KEK]
    if fate == "lost":
        (filled / "kept" / keys.KEK).unlink()
    elif fate == "damaged":
        (filled / "kept" / keys.KEK).write_text("")
    else:
        (filled / "given" / keys.KEK).write_text(f"{GOOD}\n")
    before = kept(filled)
    with pytest.raises(CommandError, match="put it back, or take a new one with make up ROTATE=1"):
        keys.keep(filled / "database")
    assert kept(filled) == before
    assert keys.keep(filled / "database", rotate=True)
    assert kept(filled)[keys.KEK] not in ("", old)
    if fate == "changed":
        assert kept(filled)[keys.KEK] == GOOD
        assert kept(filled)[f"{keys.KEK}.previous"] == old
    assert "AI gateway" in capsys.readouterr().out
    assert not keys.keep(filled / "database")


def test_lost_passphrase_that_is_given_back_is_taken(filled):
    old = (filled / "kept" / keys.KEK).rename(filled / "given" / keys.KEK)
    assert keys.keep(filled / "database")
    assert kept(filled)[keys.KEK] == old.read_text()
