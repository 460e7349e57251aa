"""What belongs to everybody, asked for as a user, from its pages and from others'."""

import time

import pytest

API = "/api/2.0/mlflow"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{API}/users/list"),
        ("GET", "/ajax-api/2.0/mlflow/users/list"),
        ("GET", "/api/3.0/mlflow/roles/list?workspace=default"),
        ("GET", "/api/3.0/mlflow/gateway/budgets/list"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
    ],
)
def test_it_is_for_administrators(team, eve, method, path):
    url = f"{team.tracking}{path}"
    with team.client() as http:
        assert http.request(method, url, auth=("eve", eve)).status_code == 403
        assert http.request(method, url, auth=("admin", team.admin)).status_code == 200


def test_users_make_no_demo_data_and_leave_default_its_name(team, eve):
    with team.client(auth=("eve", eve)) as http:
        demo = f"{team.tracking}/ajax-api/3.0/mlflow/demo/generate"
        assert http.post(demo, json={}).status_code == 403
        named = {"experiment_id": "0", "new_name": "hers"}
        assert http.post(f"{team.tracking}{API}/experiments/update", json=named).status_code == 403
        assert http.get(f"{team.tracking}{API}/users/current").json()["user"]["username"] == "eve"


def test_other_servers_pages_on_this_machine_are_refused(team, eve):
    search = f"{team.tracking}/ajax-api/2.0/mlflow/experiments/search"
    others = ("http://localhost:3000", team.serving, team.tracking.replace("https", "http"))
    with team.client(auth=("eve", eve)) as http:
        for origin in others:
            answer = http.post(search, json={"max_results": 1}, headers={"origin": origin})
            assert answer.status_code == 403, origin
        own = {"origin": team.tracking}
        assert http.post(search, json={"max_results": 1}, headers=own).status_code == 200


def test_the_list_of_models_needs_no_internet(team, eve):
    with team.client(auth=("eve", eve)) as http:
        http.get(f"{team.tracking}{API}/users/current")  # the password is checked once
        began = time.monotonic()
        answer = http.get(f"{team.tracking}/ajax-api/3.0/mlflow/gateway/supported-models")
        assert answer.status_code == 200
        assert time.monotonic() - began < 2
