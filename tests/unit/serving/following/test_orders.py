"""What was asked for through the API survives restarts, crashes and bad files."""

import json

import pytest

from model_server.following.orders import Orders
from model_server.wanted import WantedError, deployed


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deployments.json"


def test_orders_survive_a_restart(file):
    orders = Orders(file)
    orders.deploy(deployed("demo", "models:/wine@champion"))
    orders.deploy(deployed("odd/n\u00e4me", "models:/wine/3"))
    orders.unload("slow")
    again = Orders(file)
    assert again.deployed == orders.deployed
    assert again.deployed["odd/n\u00e4me"].version == "3"
    assert again.unloaded == {"slow"}
    again.load("slow")
    again.undo("demo")
    assert json.loads(file.read_text()) == {
        "deployed": {"odd/n\u00e4me": "models:/wine/3"},
        "unloaded": [],
    }


def test_to_deploy_or_to_undo_ends_an_unload(file):
    orders = Orders(file)
    for name in ("a", "b"):
        orders.deploy(deployed(name, "models:/wine/1"))
        orders.unload(name)
    orders.deploy(deployed("a", "models:/wine/2"))
    orders.undo("b")
    assert not orders.unloaded


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"deployed": {"a": "s3://bucket/model"}}', b'{"more": 1}'],
)
def test_file_that_cannot_be_understood_is_kept_aside(file, content, caplog):
    file.write_bytes(content)
    orders = Orders(file)
    assert not orders.deployed
    orders.unload("slow")
    (aside,) = file.parent.glob("deployments.json.unreadable-*")
    assert aside.read_bytes() == content
    (record,) = caplog.records
    assert (record.levelname, record.kept_as) == ("ERROR", aside.name)


def test_failed_write_changes_nothing(file):
    orders = Orders(file)
    orders.deploy(deployed("a", "models:/wine/1"))
    file.with_name(file.name + ".new").mkdir()
    with pytest.raises(OSError, match="directory"):
        orders.unload("a")
    assert not orders.unloaded
    assert Orders(file).deployed == orders.deployed


@pytest.mark.parametrize(
    "uri",
    [
        "wine",
        "models:/wine",
        "models:/m-0123",
        "models:/wine/Production",
        "models:/wine/1/2",
        "models:/@champion",
        "models:/wine/99999999999999999999",
        "runs:/abc/model",
        "s3://bucket/wine@champion",
        "/etc",
        "file:///etc/wine@champion",
        "models:///etc",
    ],
)
def test_only_versions_of_registered_models_are_deployed(uri):
    with pytest.raises(WantedError, match=r"is not|a version is"):
        deployed("demo", uri)
