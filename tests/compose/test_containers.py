"""What every container may do, and what can be seen of the secrets from outside."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from pathlib import Path

import httpx
import pytest

from harness.stack import docker
from host.commands.licences import PAGE
from tests.compose.containers import assert_confined, assert_limited, assert_not_root, leaks

ONE_SHOTS = {"secrets", "database", "bucket", "migrate", "runner"}
OWN_IMAGES = {"secrets", "database", "bucket", "tracking", "serving", "runner"}


@pytest.fixture(scope="module")
def containers(stack):
    """Every container that the compose file describes, the runner's too."""
    stack.compose("--profile", "runner", "up", "--no-start", "runner")
    return stack.containers()


@pytest.fixture(scope="module")
def values(stack):
    secrets = stack.secrets()
    assert len(secrets) >= 8
    return secrets


def test_all_services_are_there(containers):
    assert containers.keys() == {"postgres", "minio", "tracking", "serving"} | ONE_SHOTS


def test_containers_are_not_root(containers):
    assert_not_root(containers)


def test_containers_are_confined(containers):
    assert_confined(containers)


def test_containers_are_limited(containers):
    assert_limited(containers)


def test_every_volume_has_a_name(stack, containers):
    """A nameless volume would be left behind by every `down`; the runner's goes with its `--rm`."""
    for service, container in containers.items():
        if service == "runner":
            continue
        volumes = [mount["Name"] for mount in container["Mounts"] if mount["Type"] == "volume"]
        assert [name for name in volumes if not name.startswith(stack.project)] == [], service


def test_services_are_watched_and_come_back(containers):
    for name, container in containers.items():
        policy = container["HostConfig"]["RestartPolicy"]["Name"]
        if name in ONE_SHOTS:
            assert policy == "no", name
        else:
            assert policy == "unless-stopped", name
            assert container["State"]["Health"]["Status"] == "healthy", name
            assert container["Config"]["StopTimeout"] >= 30, name


@pytest.mark.parametrize("service", ["postgres", "minio", "tracking", "serving"])
def test_processes_hold_no_capability(stack, service):
    status = stack.execute(service, "cat", "/proc/1/status")
    assert re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)", status, re.MULTILINE) == ["0" * 16] * 3
    assert "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("service", ["postgres", "minio", "tracking", "serving"])
def test_root_file_systems_cannot_be_written(stack, service):
    refused = stack.compose("exec", "-T", service, "sh", "-c", "echo > /usr/x", check=False)
    assert "Read-only file system" in refused.stderr


def test_workers_are_ended_first_where_memory_runs_out(stack, kept):
    """With what their models start: else that may stay for good, once it has ended their parent."""
    workers = httpx.get(f"{stack.serving}/models/{kept.name}").json()["workers"]
    listed = stack.execute("serving", "sh", "-c", "grep . /proc/[0-9]*/oom_score_adj || true")
    scores = dict(re.findall(r"^/proc/(\d+)/oom_score_adj:(-?\d+)$", listed, re.MULTILINE))
    assert workers
    assert {int(scores[str(worker)]) > 0 for worker in workers} == {True}
    assert list(scores.values()).count("0") >= 3  # init, the HTTP process, and the workers' parent


def test_only_two_ports_are_published_and_only_here(stack, containers):
    published = {
        (name, port): {(binding["HostIp"], binding["HostPort"]) for binding in bindings}
        for name, container in containers.items()
        for port, bindings in (container["HostConfig"]["PortBindings"] or {}).items()
    }
    assert published == {
        ("tracking", "5000/tcp"): {("127.0.0.1", str(stack.tracking_port))},
        ("serving", "8080/tcp"): {("127.0.0.1", str(stack.serving_port))},
    }


def docker_proxies() -> bool:
    """Whether the engine publishes ports by processes that listen."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == "docker-proxy":
                return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's table of sockets")
def test_nothing_listens_beyond_this_machine(stack):
    ports = {stack.tracking_port, stack.serving_port}
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, port = address.split(":")
            if state == "0A" and int(port, 16) in ports:
                listening.add((host, int(port, 16)))
    if not listening and not docker_proxies():
        pytest.skip("published by packet rules alone (userland-proxy=false): nothing listens")
    assert listening == {("0100007F", port) for port in ports}


def test_other_addresses_of_this_machine_are_closed(stack):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address would be used
        except OSError:
            pytest.skip("this machine has no other address")
        own = probe.getsockname()[0]
    for port in (stack.tracking_port, stack.serving_port):
        with socket.socket() as knock:
            knock.settimeout(2)
            assert knock.connect_ex((own, port)) != 0


def test_storage_reaches_nothing_outside(stack):
    """Both postgres and minio are on an internal network alone: no way out, and no way in."""
    for service in ("postgres", "minio"):
        (network,) = stack.container(service)["NetworkSettings"]["Networks"]
        assert network == f"{stack.project}_data"
    routes = stack.execute("postgres", "cat", "/proc/net/route").splitlines()[1:]
    assert not [line for line in routes if line.split()[1] == "00000000"], "has a default route"


def test_inspect_shows_no_secret(containers, values):
    for name, container in containers.items():
        assert leaks(str(container), values) == [], name


def test_logs_show_no_secret(containers, values):
    for name, container in containers.items():
        logs = docker("logs", container["Id"])
        assert leaks(logs.stdout + logs.stderr, values) == [], name


def test_images_hold_no_secret(containers, values):
    for name, container in containers.items():
        history = docker("history", "--no-trunc", container["Image"]).stdout
        assert leaks(history, values) == [], name


@pytest.mark.parametrize("service", ["postgres", "minio", "tracking", "serving"])
def test_processes_show_no_secret(stack, values, service):
    seen = stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert seen
    assert leaks(seen, values) == []
    seen = stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '")
    assert "PATH=" in seen
    # The storage's own entrypoint reads the files of its administrator into its environment.
    own = {"minio-root-user", "minio-root-password"} if service == "minio" else set()
    assert set(leaks(seen, values)) <= own


@pytest.mark.parametrize("service", ["postgres", "minio", "tracking"])
def test_a_service_is_given_only_its_own_secrets(stack, values, service):
    wanted = {
        "postgres": {"postgres-password"},
        "minio": {"minio-root-user", "minio-root-password"},
        "tracking": {
            "mlflow-password",
            "s3-access-key",
            "s3-secret-key",
            "kek-passphrase",
            "flask-secret-key",
        },
    }
    files = stack.execute(service, "sh", "-c", "cat /run/stack/*")
    assert set(leaks(files, values)) == wanted[service]


def test_serving_is_given_no_secret_but_its_own_token(stack):
    mounts = {mount["Destination"]: mount for mount in stack.container("serving")["Mounts"]}
    assert mounts.keys() == {"/cache", "/run/stack"}
    assert mounts["/run/stack"]["Name"].endswith("_secrets-serving")
    assert not mounts["/run/stack"]["RW"]


@pytest.mark.parametrize("service", sorted(OWN_IMAGES - {"database", "bucket"}))
def test_images_hold_no_compiler_and_no_package_cache(containers, service):
    look = "command -v gcc cc g++ make; ls -d /root/.cache/* /var/lib/apt/lists/*_* 2>/dev/null"
    image = containers[service]["Image"]
    extra = docker("run", "--rm", "--entrypoint", "sh", "--network", "none", image, "-c", look,
                   check=False)  # fmt: skip
    assert extra.stdout == ""


LIST_PACKAGES = """
import importlib.metadata, re, shutil
for package in importlib.metadata.distributions():
    print(re.sub("[-_.]+", "-", package.name).lower(), package.version)
print("uv", "is there" if shutil.which("uv") else "is not")
"""


@pytest.mark.parametrize("service", ["tracking", "serving"])
def test_the_page_on_images_lists_what_an_image_holds(stack, service):
    rows = [row.strip("| ").split(" | ") for row in PAGE.read_text().splitlines()]
    listed = {(row[0], row[1]) for row in rows if service in row[-1].split(", ") and len(row) == 4}
    said = stack.execute(service, "python", "-c", LIST_PACKAGES).splitlines()
    *packages, (_, is_there) = (tuple(line.split(" ", 1)) for line in said)
    assert ("uv" in dict(listed)) == (is_there == "is there")
    assert set(packages) - {("pip", dict(packages).get("pip"))} == {
        one for one in listed if one[0] != "uv"
    }
