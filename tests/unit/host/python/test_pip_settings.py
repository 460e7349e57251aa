"""uv is told what pip was told."""

import sys
from pathlib import Path

from host.python import pip_settings


def test_variables_of_pip_win_over_its_files(monkeypatch, tmp_path):
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://a.example/simple\ncert = /c.pem\n"
        "[install]\nindex-url = https://b.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    for name in ("PIP_INDEX_URL", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    variables = pip_settings.in_uv_words(Path(sys.executable), known={})
    assert variables["UV_DEFAULT_INDEX"] == "https://b.example/simple"
    assert variables["SSL_CERT_FILE"] == "/c.pem"
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.example/simple")
    variables = pip_settings.in_uv_words(Path(sys.executable), known={})
    assert variables["UV_DEFAULT_INDEX"] == "https://c.example/simple"


def test_variable_that_is_set_for_uv_is_kept(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://c.example/simple")
    known = {"UV_DEFAULT_INDEX": "https://own.example/simple"}
    assert "UV_DEFAULT_INDEX" not in pip_settings.in_uv_words(Path(sys.executable), known)


def test_several_indexes_are_searched_as_pip_does(monkeypatch):
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a.example/simple https://b.example/simple")
    variables = pip_settings.in_uv_words(Path(sys.executable), known={})
    assert variables["UV_INDEX"] == "https://a.example/simple https://b.example/simple"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_other_sections_and_odd_lines_are_passed_over():
    listing = "list.format='json'\nglobal.cert='/a'\nnonsense\n:env:.cert=broken'\n"
    assert pip_settings.parse(listing) == {"cert": "/a"}


def test_lists_over_several_lines_become_one():
    assert pip_settings.parse(r"global.find-links='\n/a\n/b'") == {"find-links": "/a /b"}
