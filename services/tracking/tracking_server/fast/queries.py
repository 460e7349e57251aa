"""What is plain to read: queries of GET requests, and searches. None is MLflow's to answer."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl

import msgspec

from tracking_server.fast import plain
from tracking_server.fast.lookups import Lookup
from tracking_server.fast.pages import (
    MOST_HISTORIES,
    MOST_OF_A_RUN,
    MOST_POINTS,
    MOST_RUNS,
    Histories,
    History,
    Samples,
    SearchRuns,
)
from tracking_server.fast.registry import MOST_MODELS, MOST_VERSIONS, USUAL_MODELS, SearchRegistry

WHOLE = re.compile(r"-?[0-9]{1,18}")
POSITIVE = re.compile(r"0*[1-9][0-9]{0,8}")


def run(query: bytes) -> Lookup | None:
    """runs/get."""
    if (run_id := _run(_fields(query, {"run_id", "run_uuid"}))) is None:
        return None
    return Lookup("run", run_id)


def experiment(query: bytes) -> Lookup | None:
    """experiments/get."""
    number = _fields(query, {"experiment_id"}).get("experiment_id", "")
    return Lookup("experiment", number) if plain.is_number(number) else None


def experiment_by_name(query: bytes) -> Lookup | None:
    """experiments/get-by-name."""
    name = _fields(query, {"experiment_name"}).get("experiment_name", "")
    return Lookup("experiment_by_name", name) if name else None


def search_runs(body: bytes) -> SearchRuns | None:
    """runs/search."""
    asked = _SEARCH.decode(body)
    if not asked.experiment_ids or not all(map(plain.is_number, asked.experiment_ids)):
        return None
    is_plain = 0 < asked.max_results <= MOST_RUNS and "\0" not in asked.filter
    return asked if is_plain and not any("\0" in one for one in asked.order_by) else None


_SEARCH = msgspec.json.Decoder(SearchRuns)


def history(query: bytes) -> History | None:
    """metrics/get-history."""
    names = {"run_id", "run_uuid", "metric_key", "max_results", "page_token"}
    fields = _fields(query, names)
    run_id, key, most = _run(fields), fields.get("metric_key"), fields.get("max_results")
    if run_id is None or not key or not (most is None or POSITIVE.fullmatch(most)):
        return None
    return History(run_id, key, None if most is None else int(most), fields.get("page_token", ""))


def histories(query: bytes) -> Histories | None:
    """metrics/get-history-bulk."""
    fields = _several(query, {"run_id", "metric_key", "max_results"}, "run_id")
    if fields is None:
        return None
    runs, others = fields
    most = others.get("max_results", str(MOST_POINTS))
    if "metric_key" not in others or not POSITIVE.fullmatch(most):
        return None
    return Histories(runs, others["metric_key"], min(int(most), MOST_POINTS))


def samples(query: bytes) -> Samples | None:
    """metrics/get-history-bulk-interval."""
    names = {"run_ids", "metric_key", "max_results", "start_step", "end_step"}
    fields = _several(query, names, "run_ids")
    if fields is None:
        return None
    runs, others = fields
    key, most = others.get("metric_key"), others.get("max_results", str(MOST_OF_A_RUN))
    steps = [others[name] for name in ("start_step", "end_step") if name in others]
    if not key or not POSITIVE.fullmatch(most) or int(most) > MOST_OF_A_RUN:
        return None
    if not steps:
        return Samples(runs, key, int(most))
    if len(steps) == 1 or not all(map(WHOLE.fullmatch, steps)):
        return None
    first, last = map(int, steps)
    return Samples(runs, key, int(most), first, last) if first <= last else None


def model(query: bytes) -> Lookup | None:
    """registered-models/get."""
    name = _fields(query, {"name"}).get("name")
    return Lookup("model", name) if name else None


def latest_versions(query: bytes) -> Lookup | None:
    """registered-models/get-latest-versions, of all stages."""
    name = _fields(query, {"name"}).get("name")
    return Lookup("latest_versions", name) if name else None


def latest_versions_posted(body: bytes) -> Lookup | None:
    """The same, as MLflow's client asks it."""
    name = _NAME.decode(body).name
    return Lookup("latest_versions", name) if name and "\0" not in name else None


class Named(msgspec.Struct, forbid_unknown_fields=True):
    """A request for what has a name."""

    name: str


_NAME = msgspec.json.Decoder(Named)


def version(query: bytes) -> Lookup | None:
    """model-versions/get."""
    fields = _fields(query, {"name", "version"})
    number = fields.get("version", "")
    return _of_model("version", fields, number) if POSITIVE.fullmatch(number) else None


def alias(query: bytes) -> Lookup | None:
    """registered-models/alias. What `latest` is, no row says."""
    fields = _fields(query, {"name", "alias"})
    name = fields.get("alias", "")
    return _of_model("alias", fields, name) if name.lower() != "latest" else None


def search_models(query: bytes) -> SearchRegistry | None:
    """registered-models/search."""
    return _search_registry(query, "registered_models", USUAL_MODELS, MOST_MODELS)


def search_versions(query: bytes) -> SearchRegistry | None:
    """model-versions/search."""
    return _search_registry(query, "model_versions", MOST_VERSIONS, MOST_VERSIONS)


def _of_model(kind: str, fields: dict[str, str], called: str) -> Lookup | None:
    name = fields.get("name")
    return Lookup(kind, msgspec.json.encode((name, called)).decode()) if name else None


def _search_registry(query: bytes, found: str, usual: int, most: int) -> SearchRegistry | None:
    pairs = _pairs(query)
    order = tuple(value for name, value in pairs if name == "order_by")
    others = [pair for pair in pairs if pair[0] != "order_by"]
    fields = _once(others, {"filter", "max_results", "page_token"})
    asked = fields.get("max_results", str(usual))
    if not POSITIVE.fullmatch(asked) or int(asked) > most:
        return None
    token = fields.get("page_token", "")
    return SearchRegistry(found, int(asked), fields.get("filter", ""), order, token)


def _run(fields: dict[str, str]) -> str | None:
    run_id = fields.get("run_id")
    return run_id if run_id and fields.get("run_uuid") in (None, run_id) else None


def _several(
    query: bytes, names: Collection[str], repeated: str
) -> tuple[list[str], dict[str, str]] | None:
    """Values of the field that may be repeated, each once, and the others."""
    pairs = _pairs(query)
    values = [value for name, value in pairs if name == repeated]
    others = _once([pair for pair in pairs if pair[0] != repeated], names)
    if not 0 < len(set(values)) == len(values) <= MOST_HISTORIES:
        return None
    return values, others


def _fields(query: bytes, names: Collection[str]) -> dict[str, str]:
    return _once(_pairs(query), names)


def _once(pairs: list[tuple[str, str]], names: Collection[str]) -> dict[str, str]:
    """Raises ValueError where a field is unknown, or there twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs) or not fields.keys() <= set(names):
        raise ValueError("a field that is not plain")
    return fields


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Raises ValueError for what is no UTF-8, or holds NUL."""
    pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    if any("\0" in text for pair in pairs for text in pair):
        raise ValueError("NUL")
    return pairs
