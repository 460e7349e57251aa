"""The model that tries what it may not."""

import shutil
from pathlib import Path

import pytest

from tests.integration.serving.confinement import probes


@pytest.fixture(scope="module")
def nosy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nosy")
    shutil.copy(probes.HERE / "nosy.py", folder)
    return probes.save_nosy(folder / "model")
