"""What uv is told, and what is told of its words."""

import pytest

from model_server.environments.uv import Uv, reason, uv_settings


def test_pips_indexes_are_uvs_too(tmp_path):
    settings = uv_settings(
        tmp_path,
        {
            "PIP_INDEX_URL": "https://pip.example.org/simple",
            "PIP_EXTRA_INDEX_URL": "https://more.example.org/simple",
            "PIP_NO_CACHE_DIR": "1",
            "UV_INDEX": "https://uv.example.org/simple",
        },
    )
    assert settings["UV_DEFAULT_INDEX"] == "https://pip.example.org/simple"
    assert settings["UV_INDEX"] == "https://uv.example.org/simple"
    assert "PIP_NO_CACHE_DIR" not in settings


def test_pre_releases_are_allowed_where_the_model_says_so(tmp_path):
    program = tmp_path / "uv"
    program.write_text('#!/bin/sh\ncat > /dev/null\necho "$@"\n')
    program.chmod(0o755)
    uv = Uv(str(program), tmp_path, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert "--prerelease allow" in next(uv.install(["tiny", "--pre"]))
    assert "--prerelease" not in next(uv.install(["tiny"]))


def test_without_a_home_all_is_written_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    settings = uv_settings(tmp_path / "environments", {})
    assert settings["UV_CACHE_DIR"] == str(tmp_path / "environments" / "downloads")
    assert settings["UV_PYTHON_INSTALL_DIR"] == str(tmp_path / "pythons")
    settings = uv_settings(tmp_path / "environments", {"UV_CACHE_DIR": "/elsewhere"})
    assert settings["UV_CACHE_DIR"] == "/elsewhere"


def test_with_a_home_uv_uses_its_own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_CACHE_DIR" not in uv_settings(tmp_path / "environments", {})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            [
                "Using Python 3.11.7",
                "error: No solution found",
                "  cause: Because tiny",
                "  is so.",
            ],
            "No solution found: Because tiny is so.",
        ),
        (
            [
                "Resolved 3 packages",
                "  \u00d7 No solution found:",
                "  \u2570\u2500\u25b6 Because tiny",
            ],
            "No solution found: Because tiny",
        ),
        (
            ["error: Failed to fetch: `https://user:secret@index.example.org/simple/tiny`"],
            "Failed to fetch: `https://index.example.org/simple/tiny`",
        ),
        (
            [
                "error: Request failed",
                *(f"  cause: {cause}" for cause in ("a", "b", "c", "no DNS")),
            ],
            "Request failed: a: no DNS",
        ),
        (["error: failed to open /srv/cache/lock"], "failed to open lock"),
        ([], ""),
    ],
)
def test_reason_is_one_line_without_folders_and_logins(lines, expected):
    assert reason(lines) == expected
