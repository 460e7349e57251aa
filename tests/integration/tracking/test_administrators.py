"""What belongs to everybody is for administrators; what is a user's own is the user's."""

import pytest

from harness.logins import Logins

API = "/api/2.0/mlflow"
ROUTES = [
    ("GET", "/api/2.0/mlflow/users/list"),
    ("GET", "/ajax-api/2.0/mlflow/users/list"),
    ("GET", "/api/3.0/mlflow/roles/list?workspace=default"),
    ("GET", "/ajax-api/3.0/mlflow/roles/list?workspace=default"),
    ("GET", "/api/3.0/mlflow/roles/get?role_id=1"),
    ("GET", "/ajax-api/3.0/mlflow/roles/get?role_id=1"),
    ("GET", "/api/3.0/mlflow/roles/permissions/list?role_id=1"),
    ("GET", "/ajax-api/3.0/mlflow/roles/permissions/list?role_id=1"),
    ("GET", "/api/3.0/mlflow/gateway/budgets/list"),
    ("GET", "/ajax-api/3.0/mlflow/gateway/budgets/windows"),
    ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
    ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
    ("POST", "/ajax-api/3.0/mlflow/demo/generate"),
]
BODY = {"features": ["prompts"]}  # of all demos, the one that is quickly made
OTHERS = [
    ("GET", f"{API}/users/get?username=bob"),
    ("GET", "/api/3.0/mlflow/users/roles/list?username=bob"),
    ("GET", "/api/3.0/mlflow/users/permissions/list?username=bob"),
    ("GET", "/api/3.0/mlflow/webhooks"),
    ("GET", "/api/2.0/mlflow/webhooks"),
    ("GET", "/signup"),
]
"""What MLflow itself keeps for administrators."""


@pytest.fixture(scope="module")
def logins(tmp_path_factory):
    running = Logins.on_local_files(tmp_path_factory.mktemp("administrators")).start()
    yield running
    running.server.stop()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_it_is_for_administrators(logins, method, path):
    with logins.client("eve") as eve, logins.client("admin") as admin:
        assert eve.request(method, path, json=BODY).status_code == 403
        assert admin.request(method, path, json=BODY).status_code == 200


@pytest.mark.parametrize(("method", "path"), OTHERS)
def test_users_do_not_see_others(logins, method, path):
    with logins.client("eve") as eve:
        assert eve.request(method, path).status_code == 403


@pytest.fixture(scope="module")
def manager(logins):
    """A user's name, who may manage the experiment Default."""
    done = logins.server.run("permission", "grant", "eve", "MANAGE", "experiment", "Default")
    assert done.returncode == 0, done.stderr
    return "eve"


@pytest.mark.parametrize("api", ["/api", "/ajax-api"])
@pytest.mark.parametrize("experiment", ["0", 0, " 0", "00"])
def test_default_is_renamed_by_administrators_alone(logins, manager, api, experiment):
    with logins.client(manager) as eve, logins.client("admin") as admin:
        for action in ("update", "delete", "restore"):
            body = {"experiment_id": experiment, "new_name": "hers"}
            asked = eve.post(f"{api}/2.0/mlflow/experiments/{action}", json=body)
            assert asked.status_code == 403, action
        for name in ("everybody's", "Default"):
            body = {"experiment_id": "0", "new_name": name}
            assert admin.post(f"{API}/experiments/update", json=body).status_code == 200
        seen = admin.get(f"{API}/experiments/get", params={"experiment_id": "0"})
        assert seen.json()["experiment"]["name"] == "Default"


def test_a_user_may_do_what_is_its_own(logins):
    with logins.client("bob") as bob:
        made = bob.post(f"{API}/experiments/create", json={"name": "his"}).json()
        renamed = {**made, "new_name": "his own"}
        assert bob.post(f"{API}/experiments/update", json=renamed).status_code == 200
        for action in ("delete", "restore"):
            assert bob.post(f"{API}/experiments/{action}", json=made).status_code == 200
        run = bob.post(f"{API}/runs/create", json={"experiment_id": "0"})
        assert run.status_code == 200
        assert bob.post(f"{API}/experiments/update", json={"new_name": "?"}).status_code == 400
        for path in (
            f"{API}/users/current",
            f"{API}/users/get?username=bob",
            "/api/3.0/mlflow/users/current/permissions",
            "/api/3.0/mlflow/users/roles/list?username=bob",
        ):
            assert bob.get(path).status_code == 200, path
        old, logins.passwords["bob"] = logins.passwords["bob"], "another password of his"
        change = {
            "username": "bob",
            "password": logins.passwords["bob"],
            "current_password": old,
        }
        assert bob.patch(f"{API}/users/update-password", json=change).status_code == 200
    with logins.client("bob") as bob:
        assert bob.get(f"{API}/users/current").status_code == 200
