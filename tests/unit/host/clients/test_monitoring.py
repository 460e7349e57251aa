"""What the host tools know of the monitoring overlay: its ports, and where it is reached."""

import socket

import pytest

from harness.ports import free_port
from host.clients import monitoring
from host.docker import client, project
from host.modes import checks, compose
from host.modes.choice import Choice
from host.user import settings

FILES = "docker-compose.yml:compose.monitoring.yml"


@pytest.fixture
def stack(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "ROOT", tmp_path)  # where there is no .env
    ports = {"TRACKING_PORT": str(free_port()), "SERVING_PORT": str(free_port())}
    return settings.read({"COMPOSE_FILE": FILES, **ports})


@pytest.fixture
def published(monkeypatch):
    """Lets Compose say that Grafana is to publish this port, and whether it has."""

    def publish(port: int, *, running: bool) -> None:
        ports = [{"host_ip": "127.0.0.1", "published": str(port), "target": 3000}]
        services = {"grafana": {"ports": ports}, "postgres": {}, "minio": {}}
        services["tracking"] = {"environment": {}}
        monkeypatch.setattr(project, "_configuration", lambda: {"name": "x", "services": services})
        monkeypatch.setattr(client, "said", lambda *_: f"127.0.0.1:{port}" if running else "")

    return publish


def said(stack, port, *, running):
    chosen = Choice(compose, "for the test", running)
    (line,) = [str(one) for one in checks._stack(stack, chosen) if one.subject == f"port {port}"]
    return line


def test_a_port_that_another_program_has_is_told(stack, published):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        published(port, running=False)
        for running in (False, True):  # the stack may run without the overlay
            line = said(stack, port, running=running)
            assert line.startswith(f"FAIL port {port}: expected it free, found")
            assert line.endswith("set GRAFANA_PORT in .env")
        published(port, running=True)
        assert "held by this stack" in said(stack, port, running=True)


def test_a_free_port_is_no_obstacle(stack, published):
    port = free_port()
    published(port, running=False)
    assert said(stack, port, running=False).endswith("free")


def test_make_up_says_where_it_is_and_how_to_get_in(stack, published):
    published(3001, running=True)
    prometheus, grafana = monitoring.explain(stack)
    assert prometheus == "Prometheus  http://localhost:3001"
    assert "http://localhost:3001" in grafana
    assert "docker compose run --rm secrets show grafana-password" in grafana


def test_without_the_overlay_nothing_is_said():
    assert monitoring.explain(settings.read({"COMPOSE_FILE": "docker-compose.yml"})) == []
    assert monitoring.explain(settings.read({"COMPOSE_FILE": FILES, "STACK_MODE": "local"})) == []
