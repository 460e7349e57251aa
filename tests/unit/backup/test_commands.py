"""The order of the steps that make a backup one consistent set, and what it leaves behind."""

import contextlib
import json

import pytest

from stack_backup import commands, settings
from stack_backup.errors import RefusedError
from stack_backup.work import Work
from tests.unit.backup.variables import VARIABLES

VERSION = {"name": "wine", "version": "1", "storage_location": None, "current_stage": "None"}


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """Servers and a repository that record what is asked of them; what `secrets` hands over."""
    return Fakes(tmp_path / "work", monkeypatch)


class Fakes:
    def __init__(self, root, monkeypatch):
        self.done, self.lost_at, self.source = [], None, "mlflow-artifacts:/1/a"
        root.mkdir()
        self.work = Work(root)
        (self.work.handover / "secrets").mkdir(parents=True)
        (self.work.handover / "secrets" / "kek-passphrase").write_text("k")
        self.settings = settings.read({**VARIABLES, "BACKUP_WORK": str(root)})
        for name in ("Databases", "Bucket", "Repository"):
            monkeypatch.setattr(commands, name, lambda *_: self)
        monkeypatch.setattr(commands.database, "rows", self.rows)

    def rows(self, _, table):
        return iter([VERSION | {"source": self.source}] if table == "model_versions" else [])

    @contextlib.contextmanager
    def locked(self):
        self.done.append("lock")
        yield self.held
        self.held()
        self.done.append("unlock")

    def held(self):
        self.done.append("held?")
        if self.lost_at == self.done.count("held?"):
            raise RefusedError("the database was restarted meanwhile: run it again")

    def there(self):
        return ["logins", "mlflow"]

    def dump(self, name, file):
        self.done.append(f"dump {name}")
        file.touch()

    def fetch(self, mirror):
        self.done.append("fetch")
        (mirror / "1" / "a").mkdir(parents=True)
        (mirror / "1" / "a" / "MLmodel").touch()

    def open(self, *, create):
        assert create

    def back_up(self, folder, parts, tag):
        self.done.append(f"back up {tag}")
        assert all((folder / part).is_dir() for part in parts)
        return "a" * 64

    def check(self):
        self.done.append("check")

    def forget(self, keep):
        self.done.append(f"forget but {' '.join(keep)}")

    def backup(self):
        commands.backup(self.settings, "backups", "")


def test_dumps_come_before_artifacts_and_all_under_the_lock(stack, capsys):
    stack.backup()
    assert stack.done == [
        *("lock", "dump logins", "dump mlflow", "fetch", "held?", "back up complete", "check"),
        *("held?", "forget but --keep-last 3", "held?", "unlock"),
    ]
    assert "1 registered version(s), each with artifacts" in capsys.readouterr().out
    assert json.loads(stack.work.last.read_text())["snapshot"] == "a" * 64


def test_a_version_without_artifacts_drops_no_snapshot(stack):
    stack.source = "mlflow-artifacts:/2/gone"
    with pytest.raises(RefusedError, match="wine version 1"):
        stack.backup()
    assert "back up lacking" in stack.done
    assert not any(step.startswith("forget") for step in stack.done)
    assert not stack.work.last.exists()


def test_versions_whose_artifacts_are_elsewhere_are_not_counted_as_there(stack, capsys):
    stack.source = "hf:/someone/model"
    stack.backup()
    said = capsys.readouterr().out
    assert "wine version 1 points to hf:/someone/model, which is not in the backup" in said
    assert "0 registered version(s), each with artifacts" in said


@pytest.mark.parametrize(("at", "never"), [(1, "back up"), (2, "forget")])
def test_nothing_is_written_or_dropped_without_the_lock(stack, at, never):
    stack.lost_at = at
    with pytest.raises(RefusedError, match="run it again"):
        stack.backup()
    assert not any(step.startswith(never) for step in stack.done)


@pytest.mark.parametrize("lacks", ["handover/secrets/kek-passphrase", "databases/mlflow.dump"])
def test_a_set_that_could_not_be_restored_is_no_backup(stack, lacks, monkeypatch):
    if lacks.startswith("handover"):
        (stack.work.root / lacks).unlink()
    else:
        monkeypatch.setattr(stack, "there", lambda: ["logins"])
    with pytest.raises(RefusedError, match=lacks):
        stack.backup()
    assert "back up complete" not in stack.done


@pytest.mark.parametrize("fails", [False, True])
def test_no_dump_and_no_passphrase_stay_behind(stack, fails):
    stack.lost_at = 1 if fails else None
    with contextlib.suppress(RefusedError):
        stack.backup()
    assert not stack.work.databases.exists()
    assert not stack.work.handover.exists()
    assert stack.work.bucket.exists(), "what the next backup need not fetch again"
