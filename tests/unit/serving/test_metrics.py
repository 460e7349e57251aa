"""Series come with their first value and go with their version."""

from model_server import metrics
from model_server.metrics import VersionMetrics


def series(model: str) -> set[str]:
    lines = metrics.page().decode().splitlines()
    return {line.partition("{")[0] for line in lines if f'model="{model}"' in line}


def use(version: VersionMetrics) -> None:
    version.served(True)
    for histogram in (version.queued, version.predicted, version.total, version.frames):
        histogram.observe(1)
    version.queue.set(1)
    version.restarts.inc()
    for status in (200, 400, 503):
        version.answered(status)


def test_version_that_was_never_served_has_no_series():
    version = VersionMetrics("unloaded", "1")
    assert not series("unloaded")
    version.close()
    assert not series("unloaded")


def test_retired_version_leaves_no_series():
    version, other = VersionMetrics("retired", "1"), VersionMetrics("other", "1")
    use(version)
    use(other)
    assert "model_server_queue_requests" in series("retired")
    version.served(False)
    version.close()
    assert not series("retired")
    assert "model_server_queue_requests" in series("other")
    other.close()


def test_version_made_anew_keeps_the_series_it_shares():
    old = VersionMetrics("anew", "1")
    use(old)
    new = VersionMetrics("anew", "1")
    before = series("anew")
    old.served(False)
    new.served(True)
    new.queue.set(3)
    old.close()
    assert series("anew") == before
    assert 'model_server_queue_requests{model="anew",version="1"} 3.0' in metrics.page().decode()
    new.close()
    assert not series("anew")
