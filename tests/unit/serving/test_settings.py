"""Settings: one table, of which the help, the variables and the documentation are views."""

import re

import pytest

from host.paths import ROOT
from model_server import options, settings
from model_server.settings import SettingsError, load

REGISTRY = {"MLFLOW_TRACKING_URI": "http://localhost:5000"}


@pytest.fixture
def setenv(monkeypatch):
    def set_all(**variables: str) -> None:
        for name, value in (REGISTRY | variables).items():
            monkeypatch.setenv(name, value)

    return set_all


def test_defaults_follow_every_champion(setenv):
    setenv()
    options = load([])
    assert (options.host, options.port, options.alias) == ("127.0.0.1", 8080, "champion")
    assert options.wanted == ()
    assert options.tracking_uri == "http://localhost:5000"


def test_flag_wins_over_variable(setenv):
    setenv(SERVING_PORT="1", SERVING_POLL="7")
    options = load(["--port", "2", "--tracking-uri", "https://other/"])
    assert (options.port, options.poll) == (2, 7)
    assert options.tracking_uri == "https://other"


def test_empty_variable_is_no_variable(setenv):
    setenv(SERVING_PORT="", SERVING_NAMES="", SERVING_DEFAULT="")
    options = load([])
    assert (options.port, options.names, options.default) == (8080, (), None)


def test_models_on_the_command_line_go_before_the_variable(setenv):
    setenv(SERVING_MODELS="other")
    assert [entry.name for entry in load(["/models/wine", "models:/cheese/1"]).wanted] == [
        "wine",
        "cheese",
    ]
    assert [entry.name for entry in load(["/a", "--models", "b"]).wanted] == ["b", "a"]
    with pytest.raises(SettingsError, match="'wine' is there twice"):
        load(["/models/wine", "/old/wine"])


def test_local_store_is_not_followed(setenv, tmp_path):
    (tmp_path / "mlflow.db").touch()
    for uri in (f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path), tmp_path.as_uri()):
        setenv(MLFLOW_TRACKING_URI=uri, SERVING_MODELS="wine@champion")
        assert (load([]).tracking_uri, load([]).registry) == (uri, None)
        setenv(MLFLOW_TRACKING_URI=uri, SERVING_MODELS="")
        with pytest.raises(SettingsError, match=r"SERVING_MODELS: nothing .* name@alias"):
            load([])


def test_mlflows_default_store_is_found_in_the_folder_one_is_in(setenv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    setenv(MLFLOW_TRACKING_URI="")
    with pytest.raises(SettingsError, match="is in a registry: set MLFLOW_TRACKING_URI"):
        load(["runs:/abc/model"])
    (tmp_path / "mlflow.db").touch()
    load(["runs:/abc/model"])


def test_names_are_a_list(setenv):
    setenv(SERVING_NAMES="serving,, 10.0.0.1 ,fd00::5,[fd00::6]")
    assert load([]).names == ("serving", "10.0.0.1", "[fd00::5]", "[fd00::6]")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SERVING_PORT", "70000"),
        ("SERVING_POLL", "nan"),
        ("SERVING_TIMEOUT", "-1"),
        ("SERVING_BODY_LIMIT", "1.5"),
        ("SERVING_QUEUE_LIMIT", "0"),
        ("SERVING_LOG_LEVEL", "chatty"),
        ("SERVING_NAMES", "mlflow.lan,*.example.org"),
        ("SERVING_MODELS", "a,a"),
        ("SERVING_NETWORK", "https://api.example.org"),
        ("SERVING_NETWORK", ":0"),
        ("MLFLOW_TRACKING_URI", "databricks"),
        ("MLFLOW_TRACKING_URI", "sqlite:///no/such/file.db"),
        ("MLFLOW_TRACKING_URI", "./no/such/folder"),
    ],
)
def test_wrong_value_is_named_in_one_line(setenv, variable, value):
    setenv(**{variable: value})
    with pytest.raises(SettingsError, match=rf"^{variable}='{re.escape(value)}': .+$") as caught:
        load([])
    assert "\n" not in str(caught.value)


def test_help_has_every_setting_on_its_line(capsys):
    with pytest.raises(SystemExit):
        load(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, field in settings.Settings.model_fields.items():
        assert f"{settings.flag(name)} " in text
        assert field.description
        assert settings.variable(name) in text


def test_documentation_has_every_setting():
    text = (ROOT / "docs" / "settings.md").read_text()
    text = text.partition("## The model server")[2].partition("## The tracking server")[0]
    documented = set(re.findall(r"^\| `((?:SERVING|MLFLOW)_\w+)`", text, re.MULTILINE))
    assert documented == {settings.variable(name) for name in settings.Settings.model_fields}


def test_documentation_has_every_tag():
    text = (ROOT / "docs" / "settings.md").read_text()
    documented = dict(re.findall(r"^\| `serving\.(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert documented == options.TAGS


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        ("threads", "3", 3),
        ("environment", "here", "here"),
        ("environment", "own", "own"),
        ("warmup", "off", False),
        ("strict", "on", True),
        ("batch", "auto", None),
        ("memory", "512", 512),
    ],
)
def test_tag_goes_before_the_setting(tag, value, expected):
    base = settings.Settings(threads=7, environments="off", strict=False, batch="on")
    chosen, warnings = options.options(base, {f"serving.{tag}": value})
    assert (getattr(chosen, tag), warnings) == (expected, [])


@pytest.mark.parametrize("value", ["0", "257", "many", ""])
def test_tag_that_cannot_be_read_says_what_it_can_be(value):
    known = options.TAGS["threads"]
    chosen, (warning,) = options.options(settings.Settings(), {"serving.threads": value})
    assert chosen.threads == settings.Settings().threads
    assert warning == f"tag serving.threads={value!r} is ignored: it can be {known}"


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_bad_certificates_stop_the_start(setenv, tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    setenv(MLFLOW_TRACKING_SERVER_CERT_PATH=str(file))
    with pytest.raises(SettingsError, match=r"MLFLOW_TRACKING_SERVER_CERT_PATH=.*ca\.pem"):
        load([])


def test_certificates_may_be_a_folder(setenv, tmp_path):
    setenv(MLFLOW_TRACKING_SERVER_CERT_PATH=str(tmp_path))
    load([])


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("0.0.0.0", ("a",)),
        ("::", ("a",)),
        ("10.0.0.7", ("a", "10.0.0.7")),
        ("fd00::7", ("a", "[fd00::7]")),
    ],
)
def test_address_listened_on_is_a_known_name(setenv, host, known):
    setenv(SERVING_HOST=host, SERVING_NAMES="a")
    assert load([]).known_names == known
