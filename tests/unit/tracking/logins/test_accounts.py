"""Logins in a database of their own: what is said when that one is at fault."""

import pytest

from tracking_server.errors import RefusedError
from tracking_server.logins import accounts


def test_the_database_that_does_not_answer_is_named(load):
    store = "postgresql+psycopg2://mlflow@127.0.0.1:1/mlflow"
    settings = load(TRACKING_BACKEND_STORE=store, TRACKING_LOGINS="logins", TRACKING_PATIENCE="0")
    with pytest.raises(RefusedError, match="the database of logins did not answer in 0 s"):
        accounts.check(settings)
