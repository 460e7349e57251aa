"""Settings: defaults, and one line naming the variable for each wrong value."""

import pytest

from host.user import settings
from host.user.terminal import CommandError


@pytest.fixture(autouse=True)
def no_dotenv(monkeypatch, tmp_path):
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    return tmp_path / ".env"


def test_defaults_need_no_file():
    stack = settings.read({})
    assert (stack.tracking_url, stack.serving_url) == (
        "http://localhost:5000",
        "http://localhost:8080",
    )
    assert stack.mode == "auto"


def test_variable_wins_over_file(no_dotenv):
    no_dotenv.write_text("TRACKING_PORT=6000\nSERVING_PORT=6001\n")
    stack = settings.read({"TRACKING_PORT": "7000"})
    assert (stack.tracking_port, stack.serving_port) == (7000, 6001)


def test_service_settings_are_handed_on_and_empty_ones_stay_empty(no_dotenv):
    no_dotenv.write_text("SERVING_DEFAULT=\n")
    stack = settings.read({"SERVING_POLL": "2", "HOME": "/"})
    assert stack.services == {"SERVING_POLL": "2", "SERVING_DEFAULT": ""}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:5000"),
        ("192.0.2.7", "http://192.0.2.7:5000"),
        ("[::1]", "http://[::1]:5000"),
        ("[::]", "http://localhost:5000"),
    ],
)
def test_address_is_one_that_this_machine_can_call(host, url):
    assert settings.read({"STACK_HOST": host, "STACK_OPEN": "yes"}).tracking_url == url


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TRACKING_PORT": "http"}, "TRACKING_PORT: expected a port from 1 to 65535, found http"),
        ({"TRACKING_PORT": "0"}, "TRACKING_PORT"),
        ({"SERVING_PORT": "65536"}, "SERVING_PORT"),
        ({"SERVING_PORT": "-1"}, "SERVING_PORT"),
        ({"SERVING_PORT": "8080.0"}, "SERVING_PORT"),
        ({"SERVING_PORT": "٨٠٨٠"}, "SERVING_PORT"),
        ({"TRACKING_PORT": "8080"}, "another port than TRACKING_PORT"),
        ({"STACK_MODE": "docker"}, "STACK_MODE: expected auto, compose or local, found docker"),
        ({"STACK_HOST": "example"}, "STACK_HOST: expected an IP address"),
        ({"STACK_HOST": "localhost"}, "found localhost: set STACK_HOST=127.0.0.1"),
        ({"STACK_HOST": "::1"}, "IPv6 in brackets, found ::1: set STACK_HOST=[::1]"),
        ({"STACK_HOST": " "}, "STACK_HOST: expected an IP address"),
        ({"STACK_HOST": "0.0.0.0"}, "STACK_OPEN=yes if that is meant"),
        ({"STACK_HOST": "0.0.0.0", "STACK_OPEN": "true"}, "STACK_OPEN=yes"),
        (
            {"COMPOSE_FILE": "compose.team.yml:docker-compose.yml"},
            "expected docker-compose.yml first",
        ),
        (
            {"COMPOSE_ENV_FILES": ".env,more"},
            "COMPOSE_ENV_FILES: expected nothing, found .env,more",
        ),
    ],
)
def test_wrong_value_is_named_in_one_line(variables, said):
    with pytest.raises(CommandError) as error:
        settings.read(variables)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_team_overlay_has_tls_and_lets_other_addresses_be():
    files = "docker-compose.yml:compose.team.yml"
    stack = settings.read({"COMPOSE_FILE": files, "STACK_HOST": "192.0.2.7"})
    assert (stack.tracking_url, stack.serving_url) == (
        "https://192.0.2.7:5000",
        "https://192.0.2.7:8080",
    )
    variables = {
        "COMPOSE_FILE": files,
        "STACK_DOMAIN": "mlflow.example.org",
        "TRACKING_PORT": "443",
    }
    assert settings.read(variables).tracking_url == "https://mlflow.example.org:443"
    assert not settings.read({"COMPOSE_FILE": files, "STACK_MODE": "local"}).secure
    assert not settings.read({"COMPOSE_FILE": "docker-compose.yml"}).secure
