"""services/secrets on folders: what each start makes, keeps, takes and refuses."""

import json
import os
import stat

import pytest

from stack_secrets.catalogue import OVERLAYS, READERS, SECRETS, VOLUMES
from stack_secrets.keeper import PREVIOUS, Keeper
from tests.unit.secrets.keeping import OWN, refusal


def test_first_start_makes_every_secret(stack, capsys):
    assert stack.run() == 0
    values = stack.values()
    assert len(set(values.values())) == len(SECRETS)
    for name, value in values.items():
        assert len(value) == SECRETS[name].length
        assert int(value, 16)
    assert capsys.readouterr().out == f"ready: {len(SECRETS)} made\n"


def test_second_start_changes_nothing(running, capsys):
    files = {path: path.stat().st_mtime_ns for path in running.root.rglob("*") if path.is_file()}
    assert running.run() == 0
    assert capsys.readouterr().out == f"ready: {len(SECRETS)} kept\n"
    again = {path: path.stat().st_mtime_ns for path in running.root.rglob("*") if path.is_file()}
    del files[running.master / ".lock"], again[running.master / ".lock"]
    assert again == files


def test_readers_get_their_files_and_no_others(running):
    values = running.values()
    delivered = running.delivered()
    assert delivered.keys() == {
        f"{reader}/{file}" for reader, wants in READERS.items() for file in wants.files
    }
    assert delivered["postgres/password"] == values["postgres-password"]
    assert delivered["tracking/pgpass"] == (
        f"postgres:5432:mlflow:mlflow:{values['mlflow-password']}\n"
        f"postgres:5432:logins:mlflow:{values['mlflow-password']}\n"
    )
    assert f"aws_secret_access_key = {values['s3-secret-key']}\n" in delivered["tracking/s3.ini"]
    everything_of_tracking = "".join(
        text for name, text in delivered.items() if name.startswith("tracking/")
    )
    assert values["minio-root-password"] not in everything_of_tracking
    assert values["postgres-password"] not in everything_of_tracking


def test_files_are_readable_to_their_owner_only(running):
    """`backup`'s are readable to its group, too, whoever calls it."""
    for reader, wants in READERS.items():
        folder = running.readers / reader
        group = 0o050 if reader == "backup" else 0
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700 | group
        assert running.owners[folder] == wants.user
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o400 | group & 0o040
    for path in running.master.iterdir():
        assert path.name == ".lock" or stat.S_IMODE(path.stat().st_mode) == 0o400


def test_volumes_belong_to_their_services(running):
    assert {name: running.owners[running.volumes / name] for name in VOLUMES} == VOLUMES


def test_a_volume_that_was_anothers_is_given_with_all_that_is_in_it(running):
    data = running.volumes / "minio-data" / "mlflow" / "part.1"
    data.touch()
    assert running.run() == 0
    assert running.owners[data] == VOLUMES["minio-data"]
    assert running.owners[running.readers / "minio" / "root-user"] == READERS["minio"].user


def test_a_volume_that_is_its_users_already_is_not_searched(running, monkeypatch):
    monkeypatch.setitem(VOLUMES, "minio-data", os.getuid())
    assert running.run() == 0
    assert running.volumes / "minio-data" / "mlflow" not in running.owners


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_files_away(stack):
    keeper = Keeper(stack.given, stack.master, stack.readers, stack.volumes)
    keeper.keep()
    assert (stack.readers / "tracking" / "pgpass").stat().st_uid == 10001
    assert (stack.volumes / "postgres-data").stat().st_uid == 999


def test_a_given_file_replaces_what_would_be_made(stack, capsys):
    (stack.given / "mlflow-password").write_text(f"{OWN}\n")
    (stack.given / "README.md").write_text("about this folder")
    assert stack.run() == 0
    assert stack.values()["mlflow-password"] == OWN
    assert capsys.readouterr().out == f"ready: 1 from ./secrets, {len(SECRETS) - 1} made\n"


def test_a_given_file_is_taken_at_any_time_while_there_is_no_data(stack):
    assert stack.run() == 0
    (stack.given / "mlflow-password").write_text(OWN)
    assert stack.run() == 0
    assert OWN in stack.delivered()["tracking/pgpass"]
    stack.fill()
    assert stack.run() == 0


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"short", "needs 12 to 128 characters, has 5"),
        (b"x" * 129, "needs 12 to 128 characters, has 129"),
        (b"with a space in it", "letters, digits"),
        (b"colon:breaks:pgpass", "letters, digits"),
        (b"two\nlines\nof text", "letters, digits"),
        (b"\xff\xfe\x00binary..", "letters, digits"),
    ],
)
def test_a_given_file_that_cannot_be_used_is_refused_by_name(stack, capsys, content, fault):
    (stack.given / "mlflow-password").write_bytes(content)
    line = refusal(stack, capsys)
    assert line.startswith("secrets/mlflow-password ")
    assert fault in line
    assert "openssl rand -hex 32 > secrets/mlflow-password" in line


def test_a_misspelt_file_is_refused(stack, capsys):
    (stack.given / "mlflow_password").write_text(OWN)
    assert refusal(stack, capsys).startswith("secrets/mlflow_password is no secret of this stack")


def test_a_folder_in_place_of_a_file_is_refused(stack, capsys):
    """What Docker makes of a bind mount whose source is missing."""
    (stack.given / "mlflow-password").mkdir()
    assert refusal(stack, capsys).startswith("secrets/mlflow-password is not a file")


def test_lost_secrets_over_data_are_refused_then_mended(running, capsys):
    old = running.values()
    for name in SECRETS:
        (running.master / name).unlink()
    line = refusal(running, capsys)
    assert "postgres-password, mlflow-password, kek-passphrase, minio-root-user" in line
    assert "lost" in line
    assert "minio-data and postgres-data" in line
    assert "'docker compose run --rm secrets rotate'" in line
    assert "'docker compose up -d --force-recreate'" in line

    assert running.run("rotate") == 0
    said = capsys.readouterr().out
    assert "warning: API keys stored in MLflow's AI gateway" in said
    assert "put the old one into secrets/" in said
    assert said.endswith("next: docker compose up -d --force-recreate\n")
    assert running.run() == 0
    assert not set(running.values().values()) & set(old.values())


def test_a_lost_secret_can_be_given_back(running):
    old = running.values()
    for name in SECRETS:
        (running.master / name).unlink()
        (running.given / name).write_text(old[name])
    assert running.run() == 0
    assert running.values() == old


def test_a_changed_secret_over_data_is_refused_then_mended(running, capsys):
    (running.given / "s3-secret-key").write_text(OWN)
    line = refusal(running, capsys)
    assert line.startswith("s3-secret-key changed, and the data in minio-data was made with")
    assert running.run("rotate") == 0
    assert "rotated: s3-secret-key\n" in capsys.readouterr().out
    assert running.run() == 0
    assert OWN in running.delivered()["tracking/s3.ini"]


def test_a_secret_that_guards_no_data_changes_freely(running):
    (running.given / "flask-secret-key").write_text(OWN)
    assert running.run() == 0


def test_serving_token_is_there_only_while_it_is_given(running, capsys):
    assert running.delivered()["serving/token"] == ""
    (running.given / "serving-token").write_text(OWN + "\n")
    assert running.run() == 0
    assert running.delivered()["serving/token"] == OWN
    assert not (running.master / "serving-token").exists()
    assert running.run("rotate") == 0
    assert running.delivered()["serving/token"] == OWN
    (running.given / "serving-token").write_text("short")
    capsys.readouterr()
    assert "needs 16 to 128 characters" in refusal(running, capsys)
    (running.given / "serving-token").unlink()
    assert running.run() == 0
    assert running.delivered()["serving/token"] == ""


def test_what_overlays_mount_may_be_missing_and_nothing_else(stack):
    for folder in (*(stack.readers / name for name in READERS), *stack.volumes.iterdir()):
        if folder.name in OVERLAYS:
            folder.rmdir()
    assert stack.run() == 0
    assert {folder.name for folder in stack.readers.iterdir()} == READERS.keys() - OVERLAYS
    (stack.volumes / "runner-home").rmdir()
    assert stack.run() == 1


def test_people_are_shown_what_they_need_and_nothing_else(running, capsys):
    assert running.run("show", "admin-password") == 0
    assert capsys.readouterr().out == running.values()["admin-password"] + "\n"
    (running.given / "admin-password").write_text(OWN)
    assert running.run("show", "admin-password") == 0
    assert capsys.readouterr().out == OWN + "\n"
    assert running.run("show", "grafana-password") == 0
    assert capsys.readouterr().out == running.values()["grafana-password"] + "\n"
    assert "not for showing" in refusal(running, capsys, "show", "mlflow-password")


def test_a_certificate_is_given_with_its_key(running, capsys):
    assert running.delivered()["gateway/tls-key"] == ""
    certificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"
    key = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----"
    (running.given / "tls-certificate").write_text(certificate)
    assert "secrets/tls-key is missing" in refusal(running, capsys)
    (running.given / "tls-key").write_text(certificate)
    assert "no PEM file of a private key" in refusal(running, capsys)
    (running.given / "tls-key").write_text(key + "\n")
    assert running.run() == 0
    delivered = running.delivered()
    assert delivered["gateway/tls-certificate"] == certificate + "\n"
    assert delivered["gateway/tls-key"] == key + "\n"
    assert not (running.master / "tls-key").exists()
    for name in ("tls-certificate", "tls-key"):
        (running.given / name).unlink()
    assert running.run() == 0
    assert running.delivered()["gateway/tls-key"] == ""


def test_data_of_another_stack_is_refused(stack, capsys):
    stack.fill()
    assert "lost" in refusal(stack, capsys)


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff", b"[]", b'{"mlflow-password": 5}', b"{"])
def test_a_damaged_record_beside_the_data_is_refused_then_mended(running, capsys, garbage):
    record = running.volumes / "postgres-data" / ".stack-secrets.json"
    record.chmod(0o600)
    record.write_bytes(garbage)
    assert "changed, and the data in postgres-data" in refusal(running, capsys)
    assert running.run("rotate") == 0
    assert running.run() == 0


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff\x00", b"abc"])
def test_a_damaged_master_value_counts_as_lost(running, capsys, garbage):
    path = running.master / "mlflow-password"
    path.chmod(0o600)
    path.write_bytes(garbage)
    assert refusal(running, capsys).startswith("mlflow-password lost")


def test_the_record_beside_the_data_does_not_hold_values(running):
    for volume in ("postgres-data", "minio-data"):
        record = json.loads((running.volumes / volume / ".stack-secrets.json").read_text())
        assert record.keys() == {name for name in SECRETS if SECRETS[name].guards == volume}
        for value in running.values().values():
            assert value not in str(record)


def test_rotate_makes_named_secrets_anew(running, capsys):
    old = running.values()
    assert running.run("rotate", "mlflow-password") == 0
    assert capsys.readouterr().out.startswith("rotated: mlflow-password\n")
    new = running.values()
    assert {name for name in SECRETS if new[name] != old[name]} == {"mlflow-password"}
    assert running.run() == 0


def test_rotate_keeps_the_last_passphrase(running, capsys):
    old = running.values()["kek-passphrase"]
    assert running.run("rotate", "kek-passphrase") == 0
    said = capsys.readouterr().out
    assert f"kept as {PREVIOUS} in the volume secrets" in said
    assert old not in said
    assert (running.master / PREVIOUS).read_text() == old
    assert running.run() == 0
    assert (running.master / PREVIOUS).read_text() == old


def test_rotate_with_nothing_to_do_says_so(running, capsys):
    old = running.values()
    assert running.run("rotate") == 0
    assert capsys.readouterr().out.startswith("rotated: nothing\n")
    assert running.values() == old


def test_rotate_refuses_names_that_it_cannot_change(running, capsys):
    assert refusal(running, capsys, "rotate", "nonsense").startswith("no secret is called nonsense")
    (running.given / "mlflow-password").write_text(OWN)
    assert "change that file instead" in refusal(running, capsys, "rotate", "mlflow-password")


def test_what_a_crash_left_behind_is_removed(running):
    (running.readers / "tracking" / ".pgpass.abc.tmp").write_text("half")
    (running.master / ".mlflow-password.abc.tmp").write_text("half")
    assert running.run() == 0
    assert not list(running.root.rglob("*.tmp"))


def test_a_full_disk_leaves_the_old_file_whole(running, capsys, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device", str(running.master))

    old = running.values()
    monkeypatch.setattr("os.fsync", full)
    assert running.run("rotate", "mlflow-password") == 1
    assert capsys.readouterr().out.startswith("failed: No space left on device")
    assert running.values() == old
    assert not list(running.root.rglob("*.tmp"))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "[::]"])
def test_an_open_address_is_refused_unless_meant(stack, capsys, host):
    line = refusal(stack, capsys, STACK_HOST=host)
    assert line.startswith(f"STACK_HOST={host} ")
    assert "STACK_OPEN=yes" in line
    assert refusal(stack, capsys, STACK_HOST=host, STACK_OPEN="true") == line
    assert stack.run(STACK_HOST=host, STACK_OPEN="yes") == 0


@pytest.mark.parametrize("host", ["", "127.0.0.1", "127.0.0.2", "[::1]", "[127.0.0.1]"])
def test_a_local_address_needs_no_word(stack, host):
    assert stack.run(STACK_HOST=host) == 0


@pytest.mark.parametrize("host", ["example", "localhost", "::1", "[::1", "[::1%lo]"])
def test_a_host_that_compose_cannot_publish_on_is_refused(stack, capsys, host):
    line = refusal(stack, capsys, STACK_HOST=host, STACK_OPEN="yes")
    assert line.startswith(f"STACK_HOST={host} is not an IP address")
    assert "[::1]" in line


def test_an_unknown_command_is_refused(stack, capsys):
    assert refusal(stack, capsys, "destroy").startswith("usage: ")
