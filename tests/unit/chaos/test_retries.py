"""Retries are counted while somebody counts, and the log is as before then."""

import logging
import threading

from chaos.retries import Retries


def test_retries_are_counted_by_thread():
    logger = logging.getLogger("urllib3.connectionpool")
    before = (logger.level, logger.propagate, list(logger.handlers))
    retries = Retries()
    retries.install()
    try:
        logger.warning("Retrying (%r) after connection broken by '%r': %s", 1, 2, 3)
        logger.debug("Retry: %s", "/api")
        logger.debug("Starting new connection")
        other = threading.Thread(target=logger.debug, args=("Retry: %s", "/api"))
        other.start()
        other.join()
        assert retries.of_this_thread() == 2
    finally:
        retries.remove()
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
