"""JSON lines on stderr. The time is the record's own; good requests leave no line."""

import logging
import logging.config

FORMATTER = "pythonjsonlogger.json.JsonFormatter"


def configure(level: str) -> None:
    """Same for the HTTP process and every child, so a worker's lines look like the server's."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": FORMATTER,
                    "format": "%(levelname)s %(name)s %(message)s",
                    "rename_fields": {"levelname": "level", "name": "logger"},
                    "timestamp": True,
                }
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "json",
                }
            },
            "root": {"level": level.upper(), "handlers": ["stderr"]},
            "loggers": {
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "mlflow": {"handlers": [], "propagate": True},
            },
        }
    )
    logging.captureWarnings(True)
