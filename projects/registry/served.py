"""The versions that the model server holds."""

import os
from dataclasses import dataclass

import requests

from common.asking import server
from common.errors import first_line

SECONDS = 5


class CannotAskError(Exception):
    """The model server does not say what it serves; the message says why, in one line."""


@dataclass(frozen=True)
class Entry:
    """One name that is served: as which version of which model, and whose word that is."""

    version: str
    words: str


def followed_alias() -> str:
    """The alias that the model server follows."""
    return os.environ.get("SERVING_ALIAS", "champion")


def served(model: str) -> list[Entry]:
    """What is served of a registered model, under whatever name.

    Raises CannotAskError where no model server answers.
    """
    try:
        answer = requests.get(f"{server()}/models", timeout=SECONDS)
        answer.raise_for_status()
        entries = [entry for served in answer.json()["models"] for entry in _entries(model, served)]
    except (requests.RequestException, LookupError, TypeError, ValueError) as error:
        raise CannotAskError(f"no model server answers at {server()}: {_why(error)}") from error
    return entries


def _entries(model: str, served: dict[str, str | None]) -> list[Entry]:
    """A served name may hold one version and be on its way to another."""
    words = f"served as {served['name']} ({served['because']})"
    entries = []
    if (source := served.get("source")) and source.rpartition("/")[0] == f"models:/{model}":
        entries.append(Entry(source.rpartition("/")[2], words))
    wanted = served.get("wanted_version")
    if wanted and wanted != served["version"] and served["name"] == model:
        entries.append(Entry(wanted, f"about to be {words}"))
    return entries


def _why(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"nothing within {SECONDS} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.JSONDecodeError) or not isinstance(
        error, requests.RequestException
    ):
        return "no list of models"
    return first_line(error)
