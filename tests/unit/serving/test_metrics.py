"""Series come with their first value and go with their version."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from model_server import metrics
from model_server.metrics import Buckets, VersionMetrics
from model_server.processes.wire import Batch


@pytest.fixture
def version():
    """Makes versions, and closes them afterwards."""
    made = []

    def make(model: str, number: str = "1") -> VersionMetrics:
        made.append(VersionMetrics(model, number))
        return made[-1]

    yield make
    for one in made:
        one.close()


def samples(model: str) -> dict[tuple, float]:
    """Values by name and the labels that are not the version's."""
    values = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            labels = dict(sample.labels)
            if labels.pop("model", None) == model and labels.pop("version"):
                values[(sample.name, *sorted(labels.items()))] = sample.value
    return values


def use(version: VersionMetrics) -> None:
    version.is_served = True
    version.queued.observe(0.0001)
    version.frames.observe(3)
    version.predicted(Batch(3, 5, 0.001, 0.002, 0.003))
    version.restarts += 1
    for status in (200, 200, 400, 503):
        version.answered(status, 0.02)


def test_what_happened_is_counted(version):
    one = version("counted")
    use(one)
    one.waiting = lambda: 7
    values = samples("counted")
    assert values["model_server_requests_total", ("status", "200")] == 2
    assert values["model_server_requests_total", ("status", "503")] == 1
    assert values["model_server_stage_seconds_count", ("stage", "total")] == 4
    assert values["model_server_stage_seconds_sum", ("stage", "predict")] == 0.002
    assert values["model_server_stage_seconds_bucket", ("le", "0.025"), ("stage", "total")] == 4
    assert values["model_server_stage_seconds_bucket", ("le", "0.01"), ("stage", "total")] == 0
    assert values["model_server_batch_rows_sum",] == 5
    assert values["model_server_queue_requests",] == 7
    assert values["model_server_worker_restarts_total",] == 1
    assert values["model_server_served_info",] == 1


def test_retired_version_leaves_no_series(version):
    retired, other = version("retired"), version("other")
    use(retired)
    use(other)
    retired.close()
    assert not samples("retired")
    assert samples("other")


def test_version_made_anew_shares_the_series_of_the_old_one(version):
    old, new = version("anew"), version("anew")
    use(old)
    use(new)
    assert samples("anew")["model_server_requests_total", ("status", "200")] == 4
    old.close()
    assert samples("anew")["model_server_requests_total", ("status", "200")] == 2


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.5, "1.0"), (1.0, "1.0"), (1.1, "2.0"), (9, "+Inf")]
)
def test_bounds_belong_to_their_bucket(value, bucket):
    buckets = Buckets((1.0, 2.0))
    buckets.observe(value)
    cumulated, total = buckets.cumulated()
    assert total == value
    assert next(bound for bound, count in cumulated if count) == bucket


def test_name_that_is_gone_leaves_no_failures():
    for name in ("gone", "stays"):
        metrics.LOAD_FAILURES.labels(name, "load").inc()
    metrics.forget_failures("gone")
    page = metrics.page().decode()
    assert 'model_server_load_failures_total{model="gone"' not in page
    assert 'model_server_load_failures_total{model="stays",stage="load"} 1.0' in page
    metrics.forget_failures("stays")


def test_the_state_of_a_server_shows_what_alerts_ask(tmp_path):
    wanted = [("wine", "2"), ("swap", "1")]
    state = metrics.State(lambda: wanted, lambda: False, tmp_path)
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in state.collect()
        for sample in family.samples
    }
    assert values["model_server_wanted_info", "2", "wine"] == 1
    assert values["model_server_wanted_info", "1", "swap"] == 1
    assert values["model_server_ready",] == 0
    free, size = values["model_server_cache_free_bytes",], values["model_server_cache_size_bytes",]
    assert 0 < free <= size
