"""Connections of the fast path's own to PostgreSQL."""

from __future__ import annotations

import psycopg2
import psycopg2.extensions

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor


def connect(dsn: str, *, read_only: bool = False) -> Connection:
    """One on which each statement is a transaction. May raise psycopg2.Error."""
    connection = psycopg2.connect(dsn)
    connection.set_session(readonly=read_only, autocommit=True)
    return connection
