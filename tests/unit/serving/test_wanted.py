"""SERVING_MODELS, entry by entry."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.wanted import WantedError, entry_for, parse_wanted

names = st.text(min_size=1, max_size=20)


def only(text: str):
    (entry,) = parse_wanted(text, "champion")
    return entry


@pytest.mark.parametrize(
    ("text", "name", "model", "alias", "version", "uri"),
    [
        ("wine", "wine", "wine", "champion", None, None),
        ("wine@staging", "wine", "wine", "staging", None, None),
        ("wine/3", "wine", "wine", None, "3", None),
        ("demo=./model", "demo", None, None, None, "./model"),
        ("demo=/a/b@c", "demo", None, None, None, "/a/b@c"),
        ("demo=s3://bucket/model", "demo", None, None, None, "s3://bucket/model"),
        ("demo=runs:/abc/model", "demo", None, None, None, "runs:/abc/model"),
        ("demo=models:/wine@best", "demo", "wine", "best", None, None),
        ("demo=models:/wine/7", "demo", "wine", None, "7", None),
        ("demo=models:/m-0123", "demo", None, None, None, "models:/m-0123"),
        ("a%2Cb%40c", "a,b@c", "a,b@c", "champion", None, None),
    ],
)
def test_forms(text, name, model, alias, version, uri):
    entry = only(text)
    assert (entry.name, entry.model, entry.alias, entry.version, entry.uri) == (
        name,
        model,
        alias,
        version,
        uri,
    )


@pytest.mark.parametrize(
    "text", ["@a", "a@", "a@b@c", "a/", "/3", "a/b", "a/3/4", "=x", "a=", "a@b=c", "a,a", "a,a@b"]
)
def test_malformed_entries_are_named(text):
    with pytest.raises(WantedError, match=r"'.+'"):
        parse_wanted(text, "champion")


def test_empty_entries_are_skipped():
    assert [entry.name for entry in parse_wanted(" a, ,b ,", "champion")] == ["a", "b"]
    assert parse_wanted(" , ", "champion") == ()


@pytest.mark.parametrize(
    ("argument", "name", "uri"),
    [
        ("./model", "model", "file:{here}/model"),
        ("model/", "model", "file:{here}/model"),
        ("model", "model", "file:{here}/model"),
        (".", "here", "file:{here}"),
        ("/models/a, b@c", "a, b@c", "file:/models/a%2C%20b%40c"),
        ("runs:/abc/wine", "wine", "runs:/abc/wine"),
        ("s3://bucket/red/wine", "wine", "s3://bucket/red/wine"),
        ("models:/m-0123", "m-0123", "models:/m-0123"),
        ("file:///models/red%20wine", "red wine", "file:///models/red%20wine"),
        ("demo=./model", "demo", "./model"),
        ("demo=runs:/abc/wine", "demo", "runs:/abc/wine"),
    ],
)
def test_folder_or_uri_alone_has_a_name(tmp_path, monkeypatch, argument, name, uri):
    here = tmp_path / "here"
    (here / "model").mkdir(parents=True)
    monkeypatch.chdir(here)
    entry = only(entry_for(argument))
    assert (entry.name, entry.uri) == (name, uri.format(here=here))


@pytest.mark.parametrize(
    ("argument", "alias", "version"),
    [
        ("wine", "champion", None),
        ("wine@staging", "staging", None),
        ("wine/3", None, "3"),
        ("models:/wine/3", None, "3"),
        ("models:/wine@staging", "staging", None),
    ],
)
def test_registered_model_alone_is_one(argument, alias, version):
    entry = only(entry_for(argument))
    assert (entry.name, entry.model, entry.alias, entry.version) == ("wine", "wine", alias, version)


@given(names, names)
def test_any_name_and_alias_can_be_written(name, alias):
    entry = only(f"{quote(name, safe='')}@{quote(alias, safe='')}")
    assert (entry.name, entry.model, entry.alias) == (name, name, alias)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text):
    try:
        entries = parse_wanted(text, "champion")
    except WantedError:
        return
    for entry in entries:
        assert entry.name
        assert (entry.uri is None) == (entry.model is not None)
        assert entry.uri or (entry.alias is None) != (entry.version is None)
