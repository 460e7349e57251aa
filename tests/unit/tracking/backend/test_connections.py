"""Workers share the connections that PostgreSQL allows, whatever their number."""

import pytest

from tracking_server.backend import connections
from tracking_server.errors import RefusedError


@pytest.mark.parametrize("allowed", [48, 60, 97, 197, 500, 5000])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 6, 8, 64])
def test_all_that_workers_may_open_is_allowed(allowed, workers):
    try:
        share = connections.of(allowed, workers)
    except RefusedError:
        assert allowed * 3 // 4 < connections.LEAST * workers
        return
    threads = share.threads + share.background
    most = connections.A_THREAD * threads + connections.ENGINES * share.pool + connections.OWN
    assert workers * most <= allowed * 3 // 4 + 1
    assert min(share) >= 1


def test_what_is_needed_is_enough():
    with pytest.raises(RefusedError, match=r"allows 50 .* TRACKING_WORKERS=4 needs 107"):
        connections.of(50, 4)
    assert connections.of(107, 4)
