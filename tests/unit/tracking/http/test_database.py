"""What a database says is told in plain words."""

import logging

import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import Engine, event, exc, text

from tracking_server.http import database


@pytest.fixture(autouse=True)
def listening():
    database.register(Flask("test"))
    yield
    event.remove(Engine, "handle_error", database._tell)


def test_a_server_that_is_not_there_is_named_in_the_log_alone(caplog):
    engine = sqlalchemy.create_engine("postgresql+psycopg2://eve@127.0.0.1:1/secret")
    with caplog.at_level(logging.WARNING), pytest.raises(exc.OperationalError) as raised:
        engine.connect()
    assert str(raised.value) == database.SILENT
    assert "127.0.0.1" in caplog.text


@pytest.mark.parametrize(
    ("statement", "kind", "told"),
    [
        ("INSERT INTO t VALUES (:value)", exc.IntegrityError, "there already"),
        ("SELECT * FROM nowhere WHERE x = :value", exc.OperationalError, "does not answer"),
    ],
)
def test_statements_and_values_are_told_to_nobody(caplog, statement, kind, told):
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, caplog.at_level(logging.INFO):
        connection.execute(text("CREATE TABLE t (x TEXT UNIQUE)"))
        connection.execute(text("INSERT INTO t VALUES ('hush')"))
        with pytest.raises(kind, match=told) as raised:
            connection.execute(text(statement), {"value": "hush"})
    for said in (str(raised.value), str(raised.value.__cause__), caplog.text):
        assert "hush" not in said
        assert "nowhere" not in said
    assert "Error" in caplog.text
