"""Holds for every test: the machine's own settings must not reach it."""

import gc
import os

import hypothesis
import pytest

FOREIGN_PREFIXES = (
    "MLFLOW_",
    "_MLFLOW_",
    "AWS_",
    "PG",
    "TRACKING_",
    "SERVING_",
    "STACK_",
    "MINIO_",
    "COMPOSE_",
    "PYTHONDONTWRITEBYTECODE",  # with which each start of MLflow takes seconds more
)

# What tests import is no garbage, and looking for it takes a quarter of the time.
gc.disable()


def pytest_collection_finish():
    """Look for garbage from here on, but not in what is there already."""
    gc.freeze()
    gc.enable()


# How long one case takes says more of the machine than of the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def foreign_settings_removed():
    """Clear the host's variables; being autouse, it runs before other session fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES)]:
            patch.delenv(name)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("DO_NOT_TRACK", "true")
        patch.setenv("ORT_DISABLE_TELEMETRY", "1")
        yield


def _environment_restored():
    """What a test or a library sets in os.environ (MLflow does) ends with it."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() | before.keys():
        if name.startswith("PYTEST_"):
            continue
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]


after_each_test = pytest.fixture(autouse=True)(_environment_restored)
# What a module's own fixtures set is there before its first test.
after_each_module = pytest.fixture(autouse=True, scope="module")(_environment_restored)
