"""What `make backup` takes from other services' volumes, and `make restore` brings back."""

import pytest

from stack_backup.work import Work
from stack_secrets import handover
from stack_secrets.keeper import PREVIOUS
from tests.unit.secrets.keeping import Stack

KEK = "kek-passphrase"


@pytest.fixture
def stack(tmp_path):
    made = Stack(tmp_path)
    assert made.run() == 0
    return made


def cache(stack, **files):
    for name, text in files.items():
        (stack.volumes / "serving-cache" / name.replace("_", ".")).write_text(text)


def handed(stack):
    folder = stack.volumes / "backup-work" / "handover"
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_collect_takes_the_passphrase_and_what_was_asked_of_serving(stack):
    cache(stack, deployments_json="{}", tokens_json="[]", index_json="{}")
    (stack.volumes / "serving-cache" / "versions").mkdir()
    assert stack.run("collect") == 0
    assert handed(stack) == {
        f"secrets/{KEK}": stack.values()[KEK],
        "serving/deployments.json": "{}",
        "serving/tokens.json": "[]",
    }


def test_collect_follows_no_link(stack):
    """Whoever writes to the cache must not read by it what root can."""
    (stack.volumes / "serving-cache" / "deployments.json").symlink_to(
        stack.master / "postgres-password"
    )
    assert stack.run("collect") == 0
    assert handed(stack).keys() == {f"secrets/{KEK}"}


def test_adopt_brings_back_what_was_collected(stack, tmp_path):
    cache(stack, deployments_json="{}")
    stack.run("collect")
    (tmp_path / "other").mkdir()
    other = Stack(tmp_path / "other")
    other.run()
    other.fill()
    cache(other, tokens_json="[]")
    handover = "backup-work/handover"
    (stack.volumes / handover).rename(other.volumes / handover)
    assert other.run("may-adopt") == 0
    assert other.run("adopt") == 0
    assert other.values()[KEK] == stack.values()[KEK]
    assert other.delivered()[f"tracking/{KEK}"] == stack.values()[KEK]
    left = {path.name for path in (other.volumes / "serving-cache").iterdir()}
    assert left == {"deployments.json"}, "what was asked since is no part of the backup"
    assert not (other.volumes / handover).exists()
    assert other.run() == 0, "the next start takes the passphrase as the data's"


@pytest.mark.parametrize("volume", ["serving-tokens", "serving-cache"])
def test_tokens_go_where_the_model_server_reads_them(stack, volume):
    """Both hold tokens: one with the team overlay, one without."""
    if volume == "serving-cache":
        (stack.volumes / "serving-tokens").rmdir()
    (stack.volumes / volume / "tokens.json").write_text("[]")
    stack.run("collect")
    (stack.volumes / volume / "tokens.json").unlink()
    assert stack.run("adopt") == 0
    assert (stack.volumes / volume / "tokens.json").read_text() == "[]"


def test_adopt_keeps_the_passphrase_before(stack):
    (stack.master / PREVIOUS).write_text("y" * 20)
    stack.run("collect")
    (stack.master / PREVIOUS).unlink()
    assert stack.run("adopt") == 0
    assert (stack.master / PREVIOUS).read_text() == "y" * 20


def test_adopt_takes_nothing_of_a_set_that_is_going_away(stack, capsys, monkeypatch):
    """Whoever interrupts a restore has the set moved away, maybe while this reads it."""
    cache(stack, deployments_json="[]", tokens_json="[]")
    stack.run("collect")
    cache(stack, deployments_json="{}")
    folder = stack.volumes / "backup-work"
    (folder / "unfinished-restore").write_text("abc")
    before = stack.values()
    read = handover._read

    def read_the_first(path):
        text = read(path)
        if path.parent.name == "serving" and path.exists():
            path.parent.parent.rename(folder / "handover.gone")
        return text

    monkeypatch.setattr(handover, "_read", read_the_first)
    assert stack.run("adopt") == 1
    assert "run make restore again" in capsys.readouterr().out
    assert stack.values() == before
    assert (stack.volumes / "serving-cache" / "deployments.json").read_text() == "{}"
    assert (folder / "unfinished-restore").exists()


def test_adopt_refuses_where_the_user_has_given_another(stack, capsys):
    stack.run("collect")
    (stack.given / KEK).write_text("z" * 20)
    stack.run()
    before = stack.delivered()
    capsys.readouterr()
    for command in ("may-adopt", "adopt"):
        assert stack.run(command) == 1
        assert "secrets/kek-passphrase is another one than the backup's" in capsys.readouterr().out
    assert stack.delivered() == before


def test_the_recovery_key_is_never_lost_to_another(stack, capsys):
    key = stack.values()["backup-password"]
    assert stack.run("rotate", "backup-password") == 1
    assert "opens the backups that there are" in capsys.readouterr().out
    (stack.given / "backup-password").write_text("z" * 20)
    assert stack.run() == 0
    assert stack.delivered()["backup/password"] == "z" * 20
    assert (stack.master / "backup-password.previous").read_text() == key


def test_keys_of_another_s3_server_may_look_as_its_maker_likes(stack):
    (stack.given / "backup-s3-secret-key").write_text("abc/def+ghi==")
    assert stack.run() == 0
    assert "abc/def+ghi==" in stack.delivered()["backup/backup-s3.ini"]


def test_an_unfinished_restore_starts_nothing_until_it_is_finished(stack, capsys):
    stack.run("collect")
    marker = stack.volumes / "backup-work" / "unfinished-restore"
    marker.write_text("f00")
    for command in ([], ["keep"], ["collect"]):
        assert stack.run(*command) == 1
        assert "a restore is not finished: run make restore again" in capsys.readouterr().out
    assert stack.run("deliver") == 0, "for the restore that goes on"
    assert stack.run("adopt") == 0
    assert not marker.exists()
    assert Work(marker.parent).restoring() == "f00", "it is not asked about, if said again now"
    assert stack.run() == 0
    assert not Work(marker.parent).restoring()


def test_what_an_unfinished_restore_left_can_be_taken_as_it_is(stack):
    (stack.volumes / "backup-work" / "unfinished-restore").write_text("f00")
    assert stack.run("rotate") == 0
    assert stack.run() == 0
