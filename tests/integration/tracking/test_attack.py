"""What is no sound HTTP, against the tracking server's port: gunicorn and uvicorn set no time limit
for a request to come, and are asked for none here."""

import pytest

from tests.integration.serving.attack.door import Door
from tests.integration.serving.attack.port import AttackedPort

PATH = "/api/2.0/mlflow/experiments/search"


@pytest.fixture(scope="module")
def door(local_tracking) -> Door:
    return Door(local_tracking.port, PATH, b'{"max_results": 1}', b'"experiments"')


class TestTracking(AttackedPort):
    pass
