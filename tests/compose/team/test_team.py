"""People and programs: logins, permissions, tokens."""

import os
import re
import subprocess

import httpx
import pytest
from mlflow.exceptions import MlflowException

from harness.projects import BIN
from harness.readme import blocks, paste
from harness.stack import docker
from harness.team import bearer
from harness.waiting import wait_until
from tests.compose.containers import leaks

MIB = 2**20


def test_readme_commands_do_what_they_say(team):
    """The overlay, which the first of them asks for, is on already."""
    file = team.stack.folder / ".env"
    try:
        for block in blocks("team"):
            done = paste(block.script, team.stack, {})
            assert done.returncode == 0, f"README.md:{block.line}\n{done.stdout}{done.stderr}"
        assert "COMPOSE_FILE=docker-compose.yml:compose.team.yml" in file.read_text()
        *_, password, token = done.stdout.splitlines()
        certificate = (team.stack.folder / "root.pem").read_text()
        assert certificate == team.certificate.read_text()
        assert team.admin in done.stdout
        assert re.fullmatch(r"mst_[\w-]{43}", token)
        team.tokens("remove", "app")
        with team.client(auth=("ada", password)) as http:
            assert http.get(f"{team.tracking}/").status_code == 200
    finally:
        file.unlink(missing_ok=True)


def test_a_login_opens_tracking_and_a_wrong_one_does_not(team, eve, as_user):
    assert as_user("eve", eve).search_experiments()
    with pytest.raises(MlflowException, match="401"):
        as_user("eve", f"{eve}x").search_experiments()
    with team.client() as http:
        assert http.get(f"{team.tracking}/").status_code == 401
        assert http.get(f"{team.tracking}/", auth=("admin", team.admin)).status_code == 200


def test_a_run_over_https_is_promoted_and_served_to_whoever_has_a_token(team, eve, as_user):
    done = subprocess.run(
        ["mlflow", "run", "projects/wine", "--env-manager", "local"],
        cwd=team.stack.folder,
        env={
            **os.environ,
            **team.environment("eve", eve),
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version = as_user("eve", eve).get_model_version_by_alias("wine", "champion").version
    app = team.tokens("add", "app", "--models", "wine")
    other = team.tokens("add", "other", "--models", "beer")
    wine = f"{team.serving}/models/wine"
    started = team.stack.container("serving")["State"]["StartedAt"]
    with team.client() as http:

        def ask(token: str) -> httpx.Response:
            return http.post(f"{wine}/invocations", json={}, headers=bearer(token))

        wait_until(lambda: ask(app).headers.get("x-model-version") == version, 60, "wine is served")
        assert http.post(f"{team.serving}/invocations", json={}).status_code == 401
        assert ask("mst_wrong").status_code == 401
        # The server looks at its tokens four times a second, and may have looked between the two.
        wait_until(lambda: ask(other).status_code != 401, 5, "the second token to be known")
        assert ask(other).status_code == 403
        assert http.get(wine, headers=bearer(other)).status_code == 403
        assert http.get(f"{team.serving}/models", headers=bearer(other)).json()["models"] == []
        seen = http.get(f"{team.serving}/openapi.json", headers=bearer(other)).text
        assert "/models/wine" not in seen
        index = f"{team.serving}/v2/repository/index"
        assert http.post(index, headers=bearer(other)).json() == []
        assert http.post(index, headers=bearer(app)).json()[0]["name"] == "wine"
        metrics = f"{team.serving}/metrics"
        assert http.get(metrics, headers=bearer(app)).status_code == 403
        assert http.get(metrics, headers=bearer(team.metrics_token)).status_code == 200

        again = team.tokens("rotate", "app")
        wait_until(lambda: ask(app).status_code == 401, 5, "the old token is over")
        assert ask(again).headers["x-model-version"] == version
        later = team.tokens("rotate", "app", "--grace", "1h")
        wait_until(lambda: ask(later).status_code != 401, 5, "the new token is known")
        assert ask(again).status_code != 401
        team.tokens("remove", "app")
        wait_until(lambda: {ask(again).status_code, ask(later).status_code} == {401}, 5, "removed")

        slow = team.tokens("add", "slow", "--models", "wine", "--rate", "0.2")
        refused = wait_until(
            lambda: (answer := ask(slow)).status_code == 429 and answer, 5, "its rate is used up"
        )
        assert int(refused.headers["retry-after"]) >= 1
        large = http.post(wine, content=b" " * 17 * MIB, headers=bearer(later))
        assert large.status_code == 413
    assert team.stack.container("serving")["State"]["StartedAt"] == started


def test_every_version_is_checked_with_the_model_servers_own_login(team):
    """`make restore` does so at its end."""
    # Versions of other tests are not made to load.
    command = ["run", "--rm", "-T", "--no-deps", "serving", "check"]
    said = team.stack.compose(*command, check=False).stdout
    assert "wine version 1 loads" in said


def test_users_may_do_what_is_theirs(team, eve, as_user):
    bob = team.add_user("bob")
    experiment = as_user("eve", eve).create_experiment("hers")
    theirs = as_user("bob", bob)
    assert theirs.get_experiment(experiment).name == "hers"
    with pytest.raises(MlflowException, match="403"):
        theirs.create_run(experiment)
    granted = ["tracking-server", "permission", "grant", "bob", "EDIT", "experiment", "hers"]
    team.stack.execute("tracking", *granted)
    theirs.create_run(experiment)
    remove = ["tracking-server", "user", "remove", "bob"]
    assert "within 60 s" in team.stack.compose("exec", "-T", "tracking", *remove).stderr
    with pytest.raises(MlflowException, match=r"401|403|username=bob not found"):
        theirs.create_run(experiment)


def test_the_model_servers_own_user_reads_and_no_more(team):
    login = team.stack.execute("serving", "cat", "/run/stack/tracking-login").strip()
    api = f"{team.tracking}/api/2.0/mlflow"
    with team.client(auth=tuple(login.split(":"))) as http:
        assert http.get(f"{api}/registered-models/search").status_code == 200
        for path in ("experiments/create", "registered-models/create"):
            assert http.post(f"{api}/{path}", json={"name": "theirs"}).status_code == 403


def test_many_wrong_passwords_are_refused_wherever_they_say_they_come_from(team):
    with team.client() as http:
        statuses = [
            http.get(
                f"{team.tracking}/api/2.0/mlflow/users/current",
                auth=("mallory", "wrong"),
                headers={"x-forwarded-for": f"192.0.2.{number}"},
            ).status_code
            for number in range(40)
        ]
        assert set(statuses[:10]) == {401}
        assert statuses[-1] == 429
        assert http.get(f"{team.tracking}/", auth=("admin", team.admin)).status_code == 200


def test_no_secret_is_seen_from_outside(team, eve):
    values = {**team.stack.secrets(), "eve": eve, "token": team.tokens("add", "seen", "--metrics")}
    with team.client() as http:
        for url in (f"{team.serving}/metrics", f"{team.tracking}/"):
            http.get(url, headers=bearer(values["token"]))
    for name, container in team.stack.containers().items():
        logs = docker("logs", container["Id"])
        assert leaks(str(container), values) == [], name
        assert leaks(logs.stdout + logs.stderr, values) == [], name
    for service in ("tracking", "serving", "gateway"):
        look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '"
        seen = team.stack.execute(service, "sh", "-c", look)
        assert "PATH=" in seen
        assert leaks(seen, values) == [], service
    kept = team.stack.execute("serving", "cat", "/tokens/tokens.json")
    assert leaks(kept, values) == []
    files = "cat /tmp/*.ini /tmp/*/*.ini /var/tmp/tracking/*/*.ini 2>/dev/null || true"
    assert leaks(team.stack.execute("tracking", "sh", "-c", files), values) == []
    mounted = team.stack.execute("tracking", "sh", "-c", "cat /run/stack/*")
    assert not {"admin-password", "serving-password"} & set(leaks(mounted, values))
