"""What is replaced in MLflow is what the list says: nothing of it is gone, and nothing else is."""

import inspect
import json
import os
import subprocess
import sys

import pytest

from tracking_server import patches
from tracking_server.patches import PATCHES, PATCHES_WITH_LOGINS, REGISTRATIONS

ALL = (*PATCHES, *PATCHES_WITH_LOGINS)

# Makes the application with logins, in a process of its own, and prints the names of all that is
# ours in MLflow: in its modules, and in the classes, objects and tables that these hold.
LIST = """
import inspect, json, os, sys
import flask
from tracking_server import app, settings, variables
loaded = settings.load()
variables.apply(loaded)
app.build(loaded)

def is_ours(value):
    if type(value).__module__.startswith("tracking_server"):
        return True
    if inspect.isclass(value):
        return value.__module__.startswith("tracking_server")
    while inspect.isfunction(value):
        if "tracking_server" in value.__code__.co_filename:
            return True
        value = getattr(value, "__wrapped__", None)
    return False

def parts(value):
    if isinstance(value, flask.Flask):  # its lists of hooks are Flask's to fill
        return {"view_functions": value.view_functions}
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, tuple)):
        return dict(enumerate(value))
    if type(value).__module__.startswith("mlflow") or isinstance(value, type):
        return getattr(value, "__dict__", {})
    return {}

seen, paths = set(), set()

def walk(path, value, depth):
    if is_ours(value):
        paths.add(path)
        return
    if depth and id(value) not in seen:
        seen.add(id(value))
        for name, part in list(dict(parts(value)).items()):
            walk((*path, str(name)), part, depth - 1)

for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] == "mlflow":
        for attribute, value in list(vars(module).items()):
            walk((name, attribute), value, 3)
print("FOUND " + json.dumps(sorted(paths)))
"""


@pytest.mark.parametrize("patch", ALL, ids=lambda patch: patch.name)
def test_mlflow_still_has_what_is_replaced(patch):
    original = patches.original(patch)
    if patch.parameters is None:
        assert type(original) is dict
    else:
        assert tuple(inspect.signature(original).parameters) == patch.parameters


@pytest.mark.parametrize("registration", REGISTRATIONS, ids=lambda one: one.registry)
def test_mlflow_still_has_the_registries(registration):
    registry = patches.resolve(registration.registry)
    assert len(inspect.signature(registry.register).parameters) == 2
    assert set(registration.schemes) <= registry._registry.keys()


def test_nothing_else_of_mlflows_is_replaced(tmp_path, secret_folder):
    done = subprocess.run(
        [sys.executable, "-c", LIST],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TRACKING_BACKEND_STORE": f"sqlite:///{tmp_path}/mlflow.db",
            "TRACKING_LOGINS": f"sqlite:///{tmp_path}/logins.db",
            "TRACKING_ARTIFACT_STORE": str(tmp_path),
            "TRACKING_SECRETS": str(secret_folder),
            "MLFLOW_AUTH_ADMIN_PASSWORD": "a password of the tests",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    paths = [tuple(path) for path in json.loads(line.removeprefix("FOUND "))]
    listed = {(*place(patch.owner), patch.name) for patch in ALL}
    listed |= {
        (*place(registration.registry), "_registry", scheme)
        for registration in REGISTRATIONS
        for scheme in registration.schemes
    }
    # A table of MLflow's is listed, not each rule in it that is ours.
    assert {one for path in paths for one in listed if path[: len(one)] == one} == listed
    assert [path for path in paths if not any(path[: len(one)] == one for one in listed)] == []


def place(owner: str) -> list[str]:
    module, _, attributes = owner.partition(":")
    return [module, *filter(None, attributes.split("."))]
