"""Entries that need no registry."""

import pytest

from model_server.following.registry import without_registry
from model_server.following.wanted import parse_wanted


@pytest.mark.parametrize(
    ("source", "uri", "is_folder"),
    [
        ("/models/wine", "/models/wine", True),
        ("/models/a%20b", "/models/a%20b", True),
        ("file:///models/a%20b", "/models/a b", True),
        ("file:/models/wine", "/models/wine", True),
        ("s3://bucket/wine", "s3://bucket/wine", False),
        ("runs:/abc/wine", "runs:/abc/wine", False),
    ],
)
def test_sources(source, uri, is_folder):
    target = without_registry(parse_wanted(f"wine={source}", "champion"))["wine"]
    assert (target.uri, target.is_folder) == (uri, is_folder)
