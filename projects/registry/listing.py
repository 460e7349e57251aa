"""Show what the registry holds, as text in columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from common.runs import on_server
from lookup import find_model, find_version, models, uri, versions
from measures import number
from served import CannotAskError, served

NEWEST = 20  # versions shown of a model
METRICS = 4  # shown of a version in a row
WIDEST = 60  # characters of a column


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the first of them the headings, aligned."""
    short = [
        [cell if len(cell) <= WIDEST else f"{cell[: WIDEST - 3]}..." for cell in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in short
    )
    return "\n".join(line.rstrip() for line in lines)


def facts(known: Mapping[str, str]) -> str:
    """Words and what they stand for, a line each; what is empty is left out."""
    width = max(map(len, known)) + 2
    return "\n".join(f"{word:<{width}}{text}" for word, text in known.items() if text)


def pairs(values: Mapping[str, object]) -> str:
    """Keys and values, in one line."""
    return ", ".join(f"{key}={_line(str(value))}" for key, value in sorted(values.items()))


def all_models(client: MlflowClient) -> str:
    """A row for each registered model."""
    registered = models(client)
    if not registered:
        hint = (
            ""
            if on_server()
            else ": set MLFLOW_TRACKING_URI, to http://localhost:5000 for the stack"
        )
        return f"no models are registered{hint}"
    count = Counter(version.name for version in versions(client))
    rows = [
        [
            model.name,
            str(count[model.name]),
            _aliases(model.aliases),
            _time(model.last_updated_timestamp),
            _line(model.description),
        ]
        for model in registered
    ]
    return columns([["model", "versions", "aliases", "updated", "description"], *rows])


def one_model(client: MlflowClient, name: str) -> str:
    """What is known of a model, and a row for each of its newest versions."""
    model, all_versions = find_model(client, name), versions(client, name)
    known = facts(
        {
            "model": name,
            "description": _line(model.description),
            "aliases": _aliases(model.aliases),
            "tags": pairs(model.tags),
            "served": _served(name),
        }
    )
    if not all_versions:
        return f"{known}\n\nno versions yet"
    rows = [
        [
            str(version.version),
            ", ".join(_aliases_of(version, model.aliases)),
            _time(version.creation_timestamp),
            (version.run_id or "")[:8],
            _some_metrics(client, version),
            pairs(version.tags),
        ]
        for version in all_versions[:NEWEST]
    ]
    headings = ["version", "aliases", "created", "run", "metrics", "tags"]
    more = len(all_versions) - NEWEST
    older = f"\nand {more} older" if more > 0 else ""
    return f"{known}\n\n{columns([headings, *rows])}{older}"


def one_version(client: MlflowClient, name: str, text: str) -> str:
    """All that is known of one version."""
    version = find_version(client, name, text)
    aliases = find_model(client, name).aliases
    known = {
        "version": f"{name} {version.version}",
        "description": _line(version.description),
        "aliases": ", ".join(_aliases_of(version, aliases)),
        "created": _time(version.creation_timestamp),
        "run": version.run_id or "",
        "loads as": uri(version),
        "source": version.source or "",
        "served": _served(name, str(version.version)),
    }
    metrics = {f"metric {k}": number(v) for k, v in sorted(_metrics(client, version).items())}
    tags = {f"tag {key}": _line(value) for key, value in sorted(version.tags.items())}
    return facts(known | metrics | tags)


def _aliases(aliases: Mapping[str, str]) -> str:
    return ", ".join(f"{alias} -> {version}" for alias, version in sorted(aliases.items()))


def _aliases_of(version: ModelVersion, aliases: Mapping[str, str]) -> list[str]:
    return sorted(alias for alias, holder in aliases.items() if str(holder) == str(version.version))


def _served(name: str, version: str | None = None) -> str:
    """What the model server holds of the model, or of one version; or that it does not answer."""
    try:
        entries = served(name)
    except CannotAskError as error:
        return f"unknown: {error}"
    held = [entry for entry in entries if version in (None, entry.version)]
    return ", ".join(f"version {entry.version} is {entry.words}" for entry in held) or "no"


def _some_metrics(client: MlflowClient, version: ModelVersion) -> str:
    metrics = sorted(_metrics(client, version).items())
    shown = ", ".join(f"{name}={value:.3g}" for name, value in metrics[:METRICS])
    return shown + (", ..." if len(metrics) > METRICS else "")


def _metrics(client: MlflowClient, version: ModelVersion) -> dict[str, float]:
    """Metrics of the run that logged the version; none where it is gone."""
    if not version.run_id:
        return {}
    try:
        return client.get_run(version.run_id).data.metrics
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
