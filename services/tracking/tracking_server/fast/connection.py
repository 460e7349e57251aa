"""Connections of the fast path's own to PostgreSQL."""

from __future__ import annotations

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor

LOCKED = 2000
"""Milliseconds to wait for rows that somebody else changes, before MLflow does it."""


def connect(dsn: str, *, read_only: bool = False) -> Connection:
    """One on which each statement is a transaction; a read-only one sees one state of the database
    until it is told to roll back. May raise psycopg2.Error."""
    connection = psycopg2.connect(dsn)
    if read_only:
        connection.set_session(ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with connection, connection.cursor() as cursor:
            cursor.execute("SET jit = off")  # compiling takes longer than a page
    else:
        connection.autocommit = True
    return connection
