"""Parts on the team's own servers: what is made, delivered and asked for."""

import pytest

from stack_secrets.__main__ import external
from tests.unit.secrets.keeping import CERTIFICATE, OWN, refusal


@pytest.fixture
def elsewhere(stack):
    """PostgreSQL and S3 are elsewhere, and all that they need is given."""
    stack.elsewhere("postgres", "s3")
    for name in ("mlflow-password", "s3-access-key", "s3-secret-key", "kek-passphrase"):
        (stack.given / name).write_text(f"theirs-{name}\n")
    return stack


def test_the_overlays_say_which_parts_are_elsewhere():
    assert external({"STACK_POSTGRES": "external", "STACK_S3": ""}) == {"postgres"}


def test_nothing_is_made_or_delivered_for_a_part_that_is_elsewhere(elsewhere, capsys):
    assert elsewhere.run() == 0
    assert capsys.readouterr().out == "ready: 4 from ./secrets, 8 made\n"
    assert (elsewhere.master / "flask-secret-key").exists()
    assert not (elsewhere.master / "postgres-password").exists()
    delivered = elsewhere.delivered()
    readers = {name.split("/")[0] for name in delivered}
    assert readers.isdisjoint({"postgres", "database", "minio", "bucket"})
    assert delivered["tracking/pgpass"] == "*:*:*:*:theirs-mlflow-password\n"
    assert "aws_access_key_id = theirs-s3-access-key\n" in delivered["tracking/s3.ini"]
    assert delivered["tracking/kek-passphrase"] == "theirs-kek-passphrase"


@pytest.mark.parametrize(
    "name", ["mlflow-password", "s3-access-key", "s3-secret-key", "kek-passphrase"]
)
def test_a_secret_that_only_the_user_has_is_named_where_it_is_missing(elsewhere, capsys, name):
    (elsewhere.given / name).unlink()
    assert refusal(elsewhere, capsys).startswith(f"secrets/{name} is missing: ")


def test_one_part_can_be_elsewhere_alone(stack, capsys):
    stack.elsewhere("s3")
    assert refusal(stack, capsys).startswith("secrets/s3-access-key is missing")
    for name in ("s3-access-key", "s3-secret-key"):
        (stack.given / name).write_text(OWN)
    assert stack.run() == 0
    assert capsys.readouterr().out == "ready: 2 from ./secrets, 11 made\n"
    assert "postgres/password" in stack.delivered()
    assert "minio/root-user" not in stack.delivered()


def test_a_password_that_others_chose_is_taken_as_it_is(elsewhere):
    """AWS's keys have slashes; libpq's passfile wants two characters escaped."""
    (elsewhere.given / "mlflow-password").write_text("a:b\\c/{d}%")
    (elsewhere.given / "s3-secret-key").write_text("wJalr/K7MDENG+bPx")
    assert elsewhere.run() == 0
    delivered = elsewhere.delivered()
    assert delivered["tracking/pgpass"] == "*:*:*:*:a\\:b\\\\c/{d}%\n"
    assert delivered["tracking/s3.ini"].endswith("= wJalr/K7MDENG+bPx\n")


@pytest.mark.parametrize("content", ["", "two words", "two\nlines", "ü"])
def test_a_password_that_cannot_be_passed_on_is_refused(elsewhere, capsys, content):
    (elsewhere.given / "mlflow-password").write_text(content)
    line = refusal(elsewhere, capsys)
    assert line.startswith("secrets/mlflow-password ")
    assert line.endswith("put the password of POSTGRES_USER in your PostgreSQL there")


def test_certificates_are_delivered_while_they_are_given(elsewhere):
    (elsewhere.given / "postgres-ca.pem").write_text(CERTIFICATE)
    assert elsewhere.run() == 0
    assert elsewhere.delivered()["tracking/postgres-ca.pem"] == CERTIFICATE.strip()
    (elsewhere.given / "postgres-ca.pem").unlink()
    assert elsewhere.run() == 0
    assert "tracking/postgres-ca.pem" not in elsewhere.delivered()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "is no certificate"),
        ("-----BEGIN CERTIFICATE-----\ncut", "is no certificate"),
        (f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----", "private key"),
    ],
)
def test_a_file_that_is_no_certificate_is_refused(elsewhere, capsys, content, fault):
    (elsewhere.given / "s3-ca.pem").write_text(content)
    line = refusal(elsewhere, capsys)
    assert line.startswith("secrets/s3-ca.pem ")
    assert fault in line


def test_another_passphrase_is_refused_for_data_elsewhere_then_taken(elsewhere, capsys):
    assert elsewhere.run() == 0
    (elsewhere.given / "kek-passphrase").write_text(OWN)
    capsys.readouterr()
    line = refusal(elsewhere, capsys)
    assert line.startswith("kek-passphrase changed, and the data in your PostgreSQL was made with")
    assert elsewhere.run("rotate") == 0
    assert "warning: API keys" in capsys.readouterr().out
    assert elsewhere.run() == 0


def test_another_password_is_the_other_servers_matter(elsewhere):
    assert elsewhere.run() == 0
    (elsewhere.given / "mlflow-password").write_text("changed")
    assert elsewhere.run() == 0
    assert "changed" in elsewhere.delivered()["tracking/pgpass"]


def test_a_stack_goes_elsewhere_and_comes_back_to_its_own_data(running):
    before = running.delivered()
    running.elsewhere("postgres", "s3")
    for name in ("mlflow-password", "s3-access-key", "s3-secret-key"):
        (running.given / name).write_text(OWN)
    assert running.run() == 0, "the passphrase is the one that was made"
    for path in list(running.given.iterdir()):
        path.unlink()
    running.elsewhere()
    assert running.run() == 0
    assert running.delivered() == before


def test_rotate_makes_nothing_that_is_elsewhere(elsewhere, capsys):
    assert elsewhere.run() == 0
    capsys.readouterr()
    assert "no secret is called postgres-password" in refusal(
        elsewhere, capsys, "rotate", "postgres-password"
    )
    assert elsewhere.run("rotate") == 0
    assert capsys.readouterr().out.startswith("rotated: nothing\n")
