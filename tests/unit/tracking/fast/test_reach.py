"""What /readyz says of the fast path."""

import pytest

from tracking_server.fast import reach

SQLITE = {"TRACKING_BACKEND_STORE": "sqlite:////srv/mlflow.db"}
LOGINS = {"TRACKING_LOGINS": "postgresql+psycopg2://mlflow@postgres/logins"}
LOGINS_IN_FILE = {"TRACKING_LOGINS": "sqlite:////srv/logins.db"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "on"),
        (LOGINS, "on"),
        (SQLITE, "on for what logs: others need PostgreSQL"),
        (LOGINS_IN_FILE, "off: with logins it needs PostgreSQL for both databases"),
        (SQLITE | LOGINS, "off: with logins it needs PostgreSQL for both databases"),
        ({"TRACKING_FAST": "false"}, "off: TRACKING_FAST=false"),
    ],
)
def test_fast_path_is_on_or_says_why_not(load, settings, says):
    loaded = load(**settings)
    assert reach.reach(loaded) == says
    assert reach.is_on(loaded) == says.startswith("on")
