"""compose.monitoring.yml on a stack of its own: what Prometheus sees, and what it would say."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator

import httpx
import mlflow
import pytest
import yaml

from harness.ports import free_port
from harness.stack import Stack, docker
from harness.waiting import wait_until
from host.docker.readiness import why_no_image
from host.paths import ROOT
from tests.compose import containers
from tests.compose.models import ROWS, register

OVERLAY = "compose.monitoring.yml"
WITHOUT_GRAFANA = ("prometheus", "postgres-exporter", "tracking", "serving")
JOBS = {"tracking", "serving", "postgres", "minio", "prometheus"}
LOG_METRIC = "/api/2.0/mlflow/runs/log-metric"
ARTIFACT = 'route="/api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}"'
ALERTS = ROOT / "tests" / "compose" / "alerts"
# The stand-in for MinIO gives no number: docs/monitoring.md.
NO_NUMBER_HERE = {"minio_cluster_capacity_usable_free_bytes"}
DASHBOARD = ROOT / "services" / "grafana" / "dashboards" / "mlflow-stack.json"


class Prometheus:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> object:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        assert not answer.is_client_error, answer.text
        answer.raise_for_status()
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict]:
        return self.ask("query", query=expression)["result"]

    def total(self, selector: str) -> float:
        samples = self.query(f"sum({selector})")
        return float(samples[0]["value"][1]) if samples else 0

    def wait_for_total(self, selector: str, least: float) -> float:
        """The first total that reaches `least`, to be read once: a target that answers too late
        is without figures for a while."""
        return wait_until(
            lambda: (total := self.total(selector)) >= least and total, 30, f"{least} {selector}"
        )


def why_not_here() -> str:
    """The image of the overlay that cannot be had, or ""."""
    settings = (ROOT / OVERLAY).read_text()
    named = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", settings))
    wanted = [os.environ.get(name) or named[name] for name in named if name != "GRAFANA_IMAGE"]
    return why_no_image(wanted)


@pytest.fixture(scope="module")
def prometheus() -> Prometheus:
    return Prometheus(free_port())


@pytest.fixture(scope="module")
def watched(new_stack, clone, prometheus) -> Iterator[Stack]:
    """A stack with both files. Grafana alone is left out, since its image may not be here.

    Prometheus looks every two seconds, as its users need not.
    """
    if reason := why_not_here():
        pytest.skip(f"MONITORING NOT TESTED: {reason}")
    configuration = clone / "services" / "prometheus" / "prometheus.yml"
    configuration.write_text(configuration.read_text().replace("15s", "2s"))
    watched = new_stack(OVERLAY)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROMETHEUS_PORT", str(prometheus.port))
        watched.compose("build", "prometheus")
        watched.up(*WITHOUT_GRAFANA)
        yield watched
        watched.down("--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def client(watched) -> Iterator[mlflow.MlflowClient]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(watched.tracking)
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def traffic(watched, prometheus, client, tmp_path_factory) -> dict[str, int]:
    """Metrics, artifacts and predictions, in known numbers; and a backup."""
    run = client.create_run("0").info.run_id

    def log() -> None:
        for step in range(30):
            client.log_metric(run, "loss", step, step=step)

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file = tmp_path_factory.mktemp("artifact") / "artifact.bin"
    file.write_bytes(os.urandom(1_000_000))
    client.log_artifact(run, str(file))
    client.download_artifacts(run, file.name, str(file.parent))

    mlflow.set_experiment("watched")
    version = register("watched", 1.0)
    client.set_registered_model_alias("watched", "champion", version)
    address = f"{watched.serving}/models/watched/invocations"
    wait_until(lambda: httpx.get(f"{watched.serving}/models/watched").is_success, 30, "known")
    wait_until(lambda: httpx.post(address, json=ROWS).is_success, 30, "served")
    seen = 'sum(model_server_requests_total{model="watched"}) > 0'
    wait_until(lambda: prometheus.query(seen), 30, "one seen, from which on the others are a rate")
    for _ in range(49):
        httpx.post(address, json=ROWS).raise_for_status()
    backup = json.dumps({"finished": 1764000000, "snapshot": "test"})
    watched.execute("tracking", "sh", "-c", "cat > /var/backups/tracking/last-backup.json",
                    stdin=backup)  # fmt: skip
    return {"metrics": 120, "bytes": 1_000_000, "predictions": 50}


@pytest.mark.usefixtures("watched")
def test_all_targets_are_up(prometheus):
    def up() -> bool:
        targets = prometheus.ask("targets")["activeTargets"]
        return {t["labels"]["job"] for t in targets if t["health"] == "up"} == JOBS

    wait_until(up, 60, "all targets to be up")


def test_what_clients_did_is_counted_exactly(prometheus, traffic):
    logged = f'tracking_requests_total{{route="{LOG_METRIC}", method="POST", status="200"}}'
    assert prometheus.wait_for_total(logged, traffic["metrics"]) == traffic["metrics"]
    prometheus.wait_for_total("tracking_workers", 2)  # the sum of one proves nothing
    up = f'tracking_received_bytes_total{{{ARTIFACT}, method="PUT"}}'
    down = f'tracking_sent_bytes_total{{{ARTIFACT}, method="GET"}}'
    for selector in (up, down):
        prometheus.wait_for_total(selector, traffic["bytes"])
    answered = 'model_server_requests_total{model="watched", status="200"}'
    predictions = traffic["predictions"]
    assert prometheus.wait_for_total(answered, predictions) == predictions
    backup = "stack_last_backup_timestamp_seconds"
    assert prometheus.wait_for_total(backup, 1764000000) == 1764000000


def expressions() -> list[str]:
    """Queries of every panel, with Grafana's own variable filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    raw = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [expression.replace("$__rate_interval", "5m") for expression in raw]


def metrics(expression: str) -> dict[str, str]:
    """The metrics that it names, and their labels."""
    return dict(re.findall(r"\b((?:\w+_)+(?:\w+)|up)\b(?!\()(\{[^}]*\})?", expression))


@pytest.mark.usefixtures("traffic")
def test_every_panel_of_the_dashboard_shows_a_number(prometheus):
    def shown(expression: str) -> bool:
        values = [one["value"][1] for one in prometheus.query(expression)]
        return any(value != "NaN" or expression in NO_NUMBER_HERE for value in values)

    assert len(expressions()) > 30
    for expression in expressions():
        wait_until(lambda e=expression: shown(e), 30, expression)
    # A counter of failures is described by its service before there is a failure.
    known = {*prometheus.ask("label/__name__/values"), *prometheus.ask("metadata")}
    asked = {name for expression in expressions() for name in metrics(expression)}
    assert asked <= known, "`or vector(0)` would hide that"


def selectors(expression: str) -> set[str]:
    """Metrics with their labels; not the statuses, since failures are what there is none of."""
    return {
        name + re.sub(r'status=~"5..",? ?', "", labels)
        for name, labels in metrics(expression).items()
    }


@pytest.mark.usefixtures("traffic")
def test_every_alert_looks_at_what_there_is(prometheus):
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 20
    for rule in rules:
        assert rule["health"] == "ok", rule
        looked_at = selectors(rule["query"])
        assert looked_at, rule["query"]
        for selector in looked_at:
            wait_until(lambda s=selector: prometheus.query(s), 30, f"{rule['name']}: {selector}")


def test_rules_are_right_for_promtool(watched):
    promtool = ("prometheus", "promtool")
    said = watched.execute(*promtool, "check", "rules", "/etc/prometheus/rules/stack.yml")
    assert "SUCCESS: 20 rules found" in said
    for file in sorted(ALERTS.glob("*.yml")):
        test = ("test", "rules", "/dev/stdin")
        said = watched.execute(*promtool, *test, stdin=file.read_text())
        assert "SUCCESS" in said, file.name


def test_every_alert_has_a_page_and_a_test():
    groups = yaml.safe_load((ROOT / "services/prometheus/rules/stack.yml").read_text())["groups"]
    page = (ROOT / "docs" / "monitoring.md").read_text()
    tested = "".join(file.read_text() for file in ALERTS.glob("*.yml"))
    for rule in (rule for group in groups for rule in group["rules"]):
        name = rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{name.lower()}"
        assert f"### {name}\n" in page
        assert name in tested
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


@pytest.fixture(scope="module")
def added(watched) -> dict[str, dict]:
    containers = watched.containers()
    return {name: containers[name] for name in ("prometheus", "postgres-exporter")}


def test_the_added_containers_are_confined(added):
    containers.assert_not_root(added)
    containers.assert_confined(added)
    containers.assert_limited(added)


def test_nothing_more_is_published_than_prometheus_and_only_here(watched, prometheus, added):
    assert not added["postgres-exporter"]["HostConfig"]["PortBindings"]
    (bindings,) = added["prometheus"]["HostConfig"]["PortBindings"].values()
    assert bindings == [{"HostIp": "127.0.0.1", "HostPort": str(prometheus.port)}]
    ports = watched.container("tracking")["HostConfig"]["PortBindings"]
    assert ports.keys() == {"5000/tcp"}
    assert httpx.get(f"{watched.tracking}/metrics").status_code == 404


def test_secrets_show_nowhere(watched, prometheus, added):
    values = watched.secrets()
    for name, container in added.items():
        logs = docker("logs", container["Id"])
        assert containers.leaks(str(container) + logs.stdout + logs.stderr, values) == [], name
    assert containers.leaks(httpx.get(f"{prometheus.url}/api/v1/status/config").text,
                            values) == []  # fmt: skip


def test_the_monitor_role_reads_statistics_and_no_table(watched):
    (row,) = watched.sql("SELECT has_table_privilege('monitor', 'experiments', 'SELECT'), "
                         "pg_has_role('monitor', 'pg_monitor', 'MEMBER')")  # fmt: skip
    assert row == "f|t"


@pytest.mark.usefixtures("watched")
def test_other_pages_in_the_browser_cannot_read_it(prometheus):
    answer = httpx.get(f"{prometheus.url}/api/v1/targets", headers={"origin": "http://x.org"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.usefixtures("traffic")
def test_alerts_tell_what_is_down(watched, prometheus):
    """Runs last: the stack stays broken."""

    def active() -> set[tuple[str, str]]:
        alerts = prometheus.ask("alerts")["alerts"]
        return {(a["labels"]["alertname"], a["labels"].get("job", "")) for a in alerts}

    wanted = {
        ("TargetDown", "serving"),
        ("TargetDown", "minio"),
        ("BackendStoreDown", "tracking"),
        ("ArtifactStoreDown", "tracking"),
    }
    wait_until(lambda: not wanted & active(), 60, "no alert, not even for a slow answer")
    watched.compose("stop", "--timeout", "5", "postgres", "minio", "serving")
    wait_until(lambda: wanted <= active(), 60, "alerts on postgres, minio and serving")
    told = "".join(a["annotations"]["description"] for a in prometheus.ask("alerts")["alerts"])
    assert f"curl 127.0.0.1:{watched.tracking_port}/readyz" in told
    wait_until(lambda: prometheus.query("pg_up == 0"), 30, "the exporter's word on PostgreSQL")
    watched.compose("stop", "--timeout", "5", "postgres-exporter")
    wait_until(lambda: ("TargetDown", "postgres") in active(), 60, "an alert on the exporter")


def test_grafana_is_described_as_the_others_are(watched):
    """Grafana's image cannot be had everywhere, so this looks at what Compose would run."""
    config = watched.compose("config", "--format", "json").stdout
    grafana = json.loads(config)["services"]["grafana"]
    assert grafana["read_only"]
    assert grafana["cap_drop"] == ["ALL"]
    assert grafana["user"] == "472:472"
    assert [port["host_ip"] for port in grafana["ports"]] == ["127.0.0.1"]
    assert list(grafana["networks"]) == ["front"]
    environment = grafana["environment"]
    # The first dollar is for Compose, which prints what it would read again.
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == "$$__file{/run/stack/admin-password}"
    assert environment["GF_SECURITY_SECRET_KEY"] == "$$__file{/run/stack/secret-key}"
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert not [name for name in environment if name.endswith("__FILE")], "exported by run.sh"


def test_the_dashboard_asks_the_datasource_that_is_provisioned():
    provisioned = yaml.safe_load(
        (ROOT / "services/grafana/provisioning/datasources/prometheus.yml").read_text()
    )
    (source,) = provisioned["datasources"]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    uids = {panel["datasource"]["uid"] for panel in panels if "datasource" in panel}
    assert uids == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
