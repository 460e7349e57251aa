"""Which attributes of spans MLflow gives a meaning, so that its own code must store them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from mlflow.tracing.constant import GenAiSemconvKey, SpanAttributeKey
from mlflow.tracing.otel import translation

KEPT = frozenset(
    {
        SpanAttributeKey.REQUEST_ID,
        SpanAttributeKey.EXPERIMENT_ID,
        SpanAttributeKey.SPAN_TYPE,
        SpanAttributeKey.INPUTS,
        SpanAttributeKey.OUTPUTS,
        SpanAttributeKey.FUNCTION_NAME,
        SpanAttributeKey.LOG_LEVEL,
        SpanAttributeKey.DESCRIPTION,
        SpanAttributeKey.START_TIME_NS,
    }
)
"""MLflow's own attributes that its store keeps as they are, or that `spans` reads as it does."""
READ = frozenset(
    {SpanAttributeKey.SESSION_ID, SpanAttributeKey.USER_ID, GenAiSemconvKey.CONVERSATION_ID}
)
"""Others' that its store reads."""
OF_MLFLOW = "mlflow."
SEEN = 1000
"""Sets of names: a program's spans have few."""
TRANSLATIONS: Sequence[Callable[[dict[str, Any], list[dict[str, Any]]], object]] = (
    translation._get_input_value,
    translation._get_output_value,
    *(
        lambda attributes, _, translate=translate: translate(attributes)
        for translate in (
            translation.translate_span_type_from_otel,
            translation._get_token_usage,
            translation._get_message_format,
            translation._get_tool_definitions,
            translation._get_model_name,
            translation._get_model_provider,
        )
    ),
)
"""All that MLflow's translate_span_when_storing asks."""


class _ReadError(Exception):
    pass


class _Watched(dict[str, Any]):
    """Attributes that let nobody read a value, nor learn that they have a certain name."""

    def get(self, key: str, default: Any = None) -> Any:
        if key in self.keys():
            raise _ReadError
        return default

    def __contains__(self, key: object) -> bool:
        if key in self.keys():
            raise _ReadError
        return False

    def __getitem__(self, key: str) -> Any:
        raise _ReadError

    def __setitem__(self, key: str, value: Any) -> None:
        raise _ReadError

    def values(self) -> Any:
        raise _ReadError

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Names alone, which a translation may compare."""
        return ((name, _Unread()) for name in self)


class _Unread:
    """A value that none of MLflow's code may look at."""

    def __getattribute__(self, _: str) -> Any:
        raise _ReadError


@lru_cache(SEEN)
def has_none(names: tuple[str, ...], events: tuple[str, ...]) -> bool:
    """Whether a span with attributes and events of these names is stored as it came, whatever their
    values: all of MLflow's translations are asked, and none looks at a value or knows one."""
    given = [name for name in names if name not in KEPT]
    if any(name in READ or name.startswith(OF_MLFLOW) for name in given):
        return False
    attributes = _Watched(dict.fromkeys(given, ""))
    spans_events = [{"name": name, "attributes": _Unread()} for name in events]
    try:
        return not any(translate(attributes, spans_events) for translate in TRANSLATIONS)
    except Exception:  # ours, or what MLflow makes of it
        return False
