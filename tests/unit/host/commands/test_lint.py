"""Which files are the project's where there is no git to say so."""

from host.commands import lint


def test_folders_above_the_checkout_hide_nothing(monkeypatch, tmp_path):
    root = tmp_path / "build" / "secrets" / "checkout"
    for name in (
        "host/a.py",
        "services/secrets/b.py",
        "secrets/kek",
        ".venv/c.py",
        "x/build/d.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.setattr(lint, "ROOT", root)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = [str(path.relative_to(root)) for path in lint._files()]
    assert files == ["host/a.py", "services/secrets/b.py"]
