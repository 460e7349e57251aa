"""docker-compose.yml, .env.example and the services' settings say the same."""

import itertools
import re
import tomllib

import pytest
import yaml

from host.paths import ROOT
from model_server.settings import Settings as ServingSettings
from stack_secrets.catalogue import READERS
from tracking_server.settings import Settings as TrackingSettings

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
FILES = [ROOT / "docker-compose.yml", *sorted(ROOT.glob("compose.*.yml"))]
DOCKERFILES = sorted(ROOT.glob("services/*/Dockerfile"))
MONITORING = yaml.safe_load((ROOT / "compose.monitoring.yml").read_text())["services"]
TEXT = "".join(file.read_text() for file in FILES)
REFERENCE = re.compile(r"\$\{(\w+)(?::?-([^}]*)|:\?[^}]*)?\}")
OF_THE_TOOLS = {
    "COMPOSE_FILE": "docker-compose.yml",
    "COMPOSE_PROJECT_NAME": "mlflow-stack",
    "STACK_MODE": "auto",
}
# Settings that are the containers' own matter: ports are fixed, and published as the user likes.
# Overlays set the metrics' port, and whether backups are watched.
NOT_SET = {
    "tracking": {"TRACKING_PORT", "TRACKING_METRICS_PORT", "TRACKING_BACKUP_WATCHED"},
    "serving": {"SERVING_PORT"},
}


class Loader(yaml.SafeLoader):
    """Knows the tags by which an overlay of Compose replaces or removes what the main file says."""


def _without_tag(loader: Loader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


Loader.add_multi_constructor("!", _without_tag)


def taken_as_they_are() -> set[str]:
    """Variables without a value: Compose takes them from .env or the shell, or leaves them out."""
    services = [
        service
        for file in FILES
        for service in yaml.load(file.read_text(), Loader)["services"].values()  # noqa: S506
        if isinstance(service, dict)  # and not one that an overlay removes
    ]
    mappings = [service.get("environment", {}) for service in services]
    mappings += [(service.get("build") or {}).get("args", {}) for service in services]
    return {name for mapping in mappings for name, value in mapping.items() if value is None}


TEAM = yaml.load((ROOT / "compose.team.yml").read_text(), Loader)["services"]  # noqa: S506


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    settings = [line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z0-9_]+=", line)]
    assert len(dict(settings)) == len(settings), "a setting is there twice"
    return dict(settings)


def variables(settings: type) -> dict[str, object]:
    """What a settings class reads: variable to default."""
    prefix = settings.model_config["env_prefix"]
    return {
        field.validation_alias or f"{prefix}{name}".upper(): field.default
        for name, field in settings.model_fields.items()
    }


def test_every_setting_of_compose_is_documented_and_no_other():
    referred = {name for name, _ in REFERENCE.findall(TEXT)}
    assert documented().keys() == referred | taken_as_they_are() | OF_THE_TOOLS.keys()


def test_documented_defaults_are_those_of_compose():
    defaults = dict(REFERENCE.findall(TEXT)) | OF_THE_TOOLS
    assert defaults == {name: documented()[name] for name in defaults}


def test_one_setting_has_one_default_in_compose():
    for name in {name for name, _ in REFERENCE.findall(TEXT)}:
        assert len({default for other, default in REFERENCE.findall(TEXT) if other == name}) == 1


def test_every_setting_has_a_line_that_says_why():
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.match(r"#[A-Z0-9_]+=", line):
            assert re.match(r"# .*\.$", before), f"no sentence above {line}"


def test_every_overlay_is_named_where_files_are_chosen():
    before, _, _ = (ROOT / ".env.example").read_text().partition("#COMPOSE_FILE=")
    said = before.rpartition("\n\n")[2]
    assert [file.name for file in FILES[1:] if file.name not in said] == []


def test_the_example_sets_nothing():
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize(
    ("service", "settings"), [("tracking", TrackingSettings), ("serving", ServingSettings)]
)
def test_compose_passes_what_the_service_reads(service, settings):
    own = {name for name in SERVICES[service]["environment"] if name in variables(settings)}
    prefixed = {
        name
        for name in SERVICES[service]["environment"]
        if name.startswith(settings.model_config["env_prefix"])
    }
    assert prefixed <= own, "set, but never read"
    assert variables(settings).keys() - own == NOT_SET[service], "read, but never set"


def written(default: object) -> str:
    """Its form in a file of variables."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize(
    ("service", "settings"), [("tracking", TrackingSettings), ("serving", ServingSettings)]
)
def test_documented_defaults_are_those_of_the_service(service, settings):
    passed = {name for name, value in SERVICES[service]["environment"].items() if value is None}
    of_the_service = {
        name: written(default) for name, default in variables(settings).items() if name in passed
    }
    assert of_the_service.items() <= documented().items()


def test_one_page_has_every_setting_of_the_stack():
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `?(.*?)`? ?\|", page, re.MULTILINE))
    assert documented().items() <= rows.items()
    stack = page.partition("## The stack")[2].partition("## The model server")[0]
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", stack, re.MULTILINE))
    assert shown.items() <= documented().items()


def test_one_page_has_every_setting_of_tracking():
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = set(re.findall(r"^\| `(TRACKING_\w+)`", page, re.MULTILINE))
    assert variables(TrackingSettings).keys() <= rows


def test_own_images_carry_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    tags = {name: service["image"] for name, service in SERVICES.items() if "build" in service}
    assert tags == {name: f"${{STACK_IMAGES:-mlflow-stack}}/{name}:{version}" for name in tags}
    for name in ("prometheus", "grafana"):
        assert MONITORING[name]["image"] == f"${{STACK_IMAGES:-mlflow-stack}}/{name}:{version}"
    assert SERVICES["migrate"]["image"] == SERVICES["tracking"]["image"]


def test_own_images_are_pulled_only_where_that_is_meant():
    """Else an image of whoever has that name at Docker Hub would be taken for one of these."""
    for service in (SERVICES | TEAM | MONITORING).values():
        if service and "STACK_IMAGES" in service.get("image", ""):
            assert service["pull_policy"] == "${STACK_PULL:-never}"


def test_only_tracking_and_serving_publish_ports():
    assert {name for name, service in SERVICES.items() if "ports" in service} == {
        "tracking",
        "serving",
    }
    for name in ("tracking", "serving"):
        (port,) = SERVICES[name]["ports"]
        assert port.startswith("${STACK_HOST:-127.0.0.1}:")


def test_monitoring_publishes_on_this_machine_alone():
    published = {name: one["ports"] for name, one in MONITORING.items() if "ports" in one}
    assert published.keys() == {"prometheus", "grafana"}
    for ports in published.values():
        assert [port.startswith("127.0.0.1:$") for port in ports] == [True]


def test_monitoring_asks_no_proxy_and_is_limited():
    for name in ("prometheus", "postgres-exporter", "grafana"):
        service = MONITORING[name]
        assert service["environment"]["NO_PROXY"] == service["environment"]["no_proxy"] == "*"
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["mem_limit"]
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def test_the_team_overlay_publishes_the_gateway_alone():
    assert {name for name, service in TEAM.items() if service.get("ports")} == {"gateway"}
    assert {name for name in SERVICES if SERVICES[name].get("ports")} == {
        name for name, service in TEAM.items() if service.get("ports") == []
    }
    main = SERVICES["serving"] | {"networks": None}
    own = {"image", "build", "depends_on", "env_file", "environment", "ports", "volumes"}
    same = main.keys() - own
    for name in same - {"networks", "mem_limit", "cpu_quota", "pids_limit", "tmpfs", "healthcheck"}:
        assert TEAM["gateway"][name] == main[name], name


@pytest.mark.parametrize("overlay", ["external-postgres", "external-s3"])
def test_backups_that_others_make_are_not_watched(overlay):
    text = (ROOT / f"compose.{overlay}.yml").read_text()
    tracking = yaml.load(text, Loader)["services"]["tracking"]  # noqa: S506
    assert tracking["environment"]["TRACKING_BACKUP_WATCHED"] == "no"


def test_containers_have_the_users_that_their_files_are_given_to():
    """No user is one that a person on the host usually has."""
    for name, reader in READERS.items():
        service = (MONITORING | TEAM | SERVICES)[name]
        user = service.get("user")
        if user is None:
            folder = service["image"].rpartition("/")[2].partition(":")[0]
            dockerfile = (ROOT / "services" / folder / "Dockerfile").read_text()
            (user,) = re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)
        assert user == f"{reader.user}:{reader.user}", name
        assert reader.user < 1000 or reader.user > 10000, name


def test_storage_is_on_the_internal_network_alone():
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["minio"]["networks"] == ["data"]


def test_no_service_asks_a_proxy_for_the_others():
    """Docker gives every container the proxies of its own configuration, in both cases."""
    others = {"tracking", "serving", "minio", "postgres", "localhost", "127.0.0.1"}
    with_network = [service for service in SERVICES.values() if "networks" in service]
    assert len(with_network) == 8
    for service in with_network:
        for name in ("NO_PROXY", "no_proxy"):
            assert others <= set(service["environment"][name].split(",")), service["image"]


def test_every_one_shot_is_waited_for():
    """`docker compose up --wait` fails when one that nothing depends on exits."""
    one_shots = {
        name
        for name, service in SERVICES.items()
        if service["restart"] == "no" and "profiles" not in service
    }
    waited_for = {
        name
        for service in SERVICES.values()
        for name, gate in service.get("depends_on", {}).items()
        if gate["condition"] == "service_completed_successfully"
    }
    assert one_shots == waited_for


@pytest.mark.parametrize("service", sorted(path.parent.name for path in DOCKERFILES))
def test_what_an_image_keeps_of_the_checkout_can_be_read_by_its_user(service):
    """A clone under umask 077 has files for their owner alone, and so would the image."""
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    copied = [line for line in re.findall(r"^COPY .*", last, re.MULTILINE) if "--from=" not in line]
    assert copied
    assert [line for line in copied if not re.match(r"COPY --chmod=[67][45][45] ", line)] == []
