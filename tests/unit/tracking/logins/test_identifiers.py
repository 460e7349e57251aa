"""An experiment has one spelling, by which permissions are found."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.server.auth.permissions import GrantLoadKey

from tracking_server.logins import identifiers


@pytest.fixture
def find():
    return identifiers.strict(lambda grants, key: (grants, key))


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        ("experiment", "0"),
        ("experiment", "10"),
        ("experiment", "*"),
        ("scorer", "1/a%2Fb"),
        ("scorer", "*"),
        ("registered_model", "01"),
    ],
)
def test_what_mlflow_writes_is_looked_for(find, kind, identifier):
    key = GrantLoadKey(kind, identifier)
    assert find([], key) == ([], key)


@pytest.mark.parametrize("identifier", ["01", " 1", "1 ", "+1", "-1", "٣", "1.0", "", 1, None])
@pytest.mark.parametrize("kind", ["experiment", "scorer"])
def test_another_spelling_is_refused(find, kind, identifier):
    with pytest.raises(MlflowException, match="Invalid experiment id") as caught:
        find([], GrantLoadKey(kind, identifier))
    assert caught.value.get_http_status_code() == 400
