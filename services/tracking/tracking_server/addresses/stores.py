"""MLflow's stores, whose methods ask the guard before an address is stored or handed out.

Every route ends in these methods, and so does whatever route comes next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from mlflow.entities import Span, TraceInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

from tracking_server.addresses.guard import Guard
from tracking_server.http import searches

Tags = dict[str, str]


def tracking_store(guard: Guard) -> Callable[[str, str], TrackingStore]:
    """Open MLflow's tracking store, guarded, as its registry does."""

    @searches.legible
    class Guarded(TrackingStore):
        def create_experiment(
            self, name: str, artifact_location: str | None = None, tags: Any = None
        ) -> str:
            guard.location(artifact_location)
            return str(super().create_experiment(name, artifact_location, tags))  # type: ignore[no-untyped-call]  # MLflow's

        def start_trace(self, trace_info: TraceInfo) -> TraceInfo:
            guard.new_trace(trace_info.trace_id, trace_info.tags)
            guard.traces({trace_info.trace_id}, trace_info.experiment_id, "manage")  # MLflow moves
            if ids := {one.assessment_id for one in trace_info.assessments if one.assessment_id}:
                guard.assessments(ids, trace_info.trace_id)
            return super().start_trace(trace_info)

        def deprecated_start_trace_v2(
            self, experiment_id: str, timestamp_ms: int, request_metadata: Tags, tags: Tags
        ) -> Any:
            tags = dict(tags)
            guard.new_trace("new", tags)  # MLflow makes the id
            return super().deprecated_start_trace_v2(
                experiment_id, timestamp_ms, request_metadata, tags
            )

        def deprecated_end_trace_v2(
            self,
            request_id: str,
            timestamp_ms: int,
            status: Any,
            request_metadata: Tags,
            tags: Tags,
        ) -> Any:
            guard.trace_tags(request_id, tags)
            return super().deprecated_end_trace_v2(
                request_id, timestamp_ms, status, request_metadata, tags
            )

        def set_trace_tag(self, trace_id: str, key: str, value: str) -> None:
            guard.trace_tags(trace_id, {key: value})
            super().set_trace_tag(trace_id, key, value)

        def delete_trace_tag(self, trace_id: str, key: str) -> None:
            guard.kept_trace_tag(key)
            super().delete_trace_tag(trace_id, key)

        def log_spans(self, location: str, spans: list[Span], tracking_uri: Any = None) -> Any:
            log = super().log_spans
            # MLflow takes ids in a request for unique. The last of an id is what it keeps of
            # several requests, too.
            spans = list({(span.trace_id, span.span_id): span for span in spans}.values())

            def guarded(spans: list[Span]) -> Any:
                guard.spans(spans)
                guard.traces({span.trace_id for span in spans}, location, "update")
                return log(location, spans, tracking_uri)

            return all_but_refused(guarded, spans)

        def link_traces_to_run(self, trace_ids: list[str], run_id: str) -> None:
            guard.run(run_id)  # OTLP names it in a header that nobody asks about
            super().link_traces_to_run(trace_ids, run_id)

        def _delete_archived_trace_payloads(self, selected_traces: list[Any]) -> list[str]:
            """The rows alone: nothing archives traces here, so that a client may have said where,
            and whoever deletes them would delete that."""
            return [selected.trace_id for selected in selected_traces]

    def opened(store_uri: str, artifact_uri: str) -> TrackingStore:
        return Guarded(store_uri, artifact_uri)  # type: ignore[no-untyped-call]  # MLflow's

    return opened


def all_but_refused(log: Callable[[list[Span]], Any], spans: list[Span]) -> Any:
    """Log spans of several traces: of one that is refused no more is lost than that trace, where
    MLflow stores all or nothing. Raises MlflowException, which names the refused."""
    traces = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    try:
        return log(spans)
    except Exception as error:
        refusal = _refusal(error)
        if len(traces) == 1:
            raise refusal from None
    refused = {}
    for trace_id, alone in traces.items():
        try:
            log(alone)
        except Exception as error:
            refused[trace_id] = _refusal(error).message
    if refused:
        told = "; ".join(f"{trace_id}: {message}" for trace_id, message in refused.items())
        raise MlflowException(
            f"Of {len(traces)} traces these are refused, and the others stored: {told}",
            INVALID_PARAMETER_VALUE,
        )
    return spans


def _refusal(error: Exception) -> MlflowException:
    """What is wrong with the spans; raises the error if something else is."""
    if isinstance(error, MlflowException) and error.get_http_status_code() == 400:
        return error
    if refusal := searches.tripped(error, "An attribute of a span is not as MLflow expects it"):
        return refusal
    raise error


def registry_store(guard: Guard) -> Callable[[str], RegistryStore]:
    """Open its model registry store in the same way."""

    @searches.legible
    class Guarded(RegistryStore):
        def create_model_version(self, name: str, source: str, *others: Any, **named: Any) -> Any:
            guard.source(source)
            return super().create_model_version(name, source, *others, **named)

        def get_model_version_download_uri(self, name: str, version: Any) -> str:
            address: str = super().get_model_version_download_uri(name, version)  # type: ignore[no-untyped-call]  # MLflow's
            guard.use(address)
            return address

    def opened(store_uri: str) -> RegistryStore:
        return Guarded(store_uri)  # type: ignore[no-untyped-call]  # MLflow's

    return opened
