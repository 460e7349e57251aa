"""Answers what waits with one model: each request read by its protocol, rows predicted together
where that gives the same, answers as soon as they are there."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow.pyfunc import PyFuncModel
from mlflow.types import ParamSchema, Schema

from model_server.errors import UNEXPECTED, RefusedError, error_body, too_late
from model_server.options import Options
from model_server.processes import wire
from model_server.processes.wire import Answer, Batch, Reply, Request
from model_server.scoring import raised
from model_server.scoring.batching import batches, together
from model_server.scoring.call import Call, Params, Reader
from model_server.scoring.fast import engine
from model_server.scoring.independence import why_not_batched
from model_server.scoring.loading import flavor
from model_server.scoring.mlflow.example import request_body
from model_server.scoring.mlflow.reader import MlflowReader
from model_server.scoring.mlflow.streaming import Streams, can_stream
from model_server.scoring.prediction import Predictor
from model_server.scoring.table import Table
from model_server.scoring.v2.reader import V2Reader

_COMPUTING = frozenset(
    (
        *("sklearn", "xgboost", "lightgbm", "catboost", "onnx", "pytorch", "tensorflow", "keras"),
        *("statsmodels", "spacy", "prophet", "pmdarima", "paddle", "h2o", "fastai", "diviner"),
        *("transformers", "sentence_transformers", "spark"),
    )
)
"""Flavors of models that compute and wait for nobody: side by side they would only share a core,
and hold the memory of several predictions at one time."""


class Scorer:
    """Loaded from `folder`, `model` answers requests of every protocol."""

    def __init__(
        self,
        model: PyFuncModel,
        folder: Path,
        options: Options | None = None,
        name: str = "",
        version: str = "",
    ) -> None:
        options = options or Options()
        mlflow = MlflowReader(model, options.strict)
        v2 = V2Reader(model, name, version, mlflow.failure, options.strict)
        self._readers: dict[str, Reader] = {wire.MLFLOW: mlflow, wire.V2: v2}
        self._model = Predictor(model)
        self.example = request_body(folder, model.metadata)
        self._engine, engine_reason = _engine(model, mlflow.example_table(self.example), options)
        self.example_call = mlflow.example(self.example)
        """The same, read; None where it cannot be."""
        batching_reason = why_not_batched(
            model, options.batch, self.example_call, self._model, folder
        )
        self._merges = batching_reason is None
        self.streams: Streams | None = None
        """How requests for streams are answered; None: the model has none."""
        if can_stream(model) and not self._merges:  # each answers its request alone
            self.streams = Streams(mlflow, _refused)
        waits = not self._merges and flavor(model) not in _COMPUTING
        self.threads = options.threads if waits else 1
        """Requests that may be answered at one time."""
        signature = model.metadata.signature
        self.description = wire.Description(
            flavor=flavor(model),
            inputs=_fields(signature and signature.inputs),
            outputs=_fields(signature and signature.outputs),
            params=_fields(signature and signature.params),
            engine=self._engine.name if self._engine else "model",
            engine_reason=engine_reason,
            streaming=self.streams is not None,
            batching=self._merges,
            batching_reason=batching_reason,
            threads=self.threads,
        )

    def replies(self, requests: list[Request]) -> Iterator[Reply]:
        """One answer a request, in any order, each batch as soon as it is done."""
        started = time.perf_counter()
        now = time.monotonic()
        refused: list[Answer] = []
        calls: list[Call] = []
        alone: list[Request] = []
        streams: list[Iterator[Reply]] = []
        for request in requests:
            try:
                if now > request.deadline:
                    raise too_late()
                if self.streams is not None and self.streams.takes(request):
                    streams.append(self.streams.replies(request))
                    continue
                call = self._readers[request.protocol].read(request)
            except BaseException as error:
                refused.append(_refused(request, error))
                continue
            if call is None:
                alone.append(request)
            else:
                calls.append(call)
        if refused:
            yield Reply(refused)
        read = (time.perf_counter() - started) / len(requests)
        for batch in batches(calls) if self._merges else ([call] for call in calls):
            yield from self._answered(batch, read)
        for request in alone:
            yield self._answered_alone(request)
        for events in streams:
            yield from events

    def _answered(self, calls: list[Call], read: float) -> Iterator[Reply]:
        """Together, or else one by one. `read` is the seconds that reading one took."""
        now = time.monotonic()
        if late := [call.request for call in calls if now > call.request.deadline]:
            yield Reply([_refused(request, too_late()) for request in late])
            calls = [call for call in calls if now <= call.request.deadline]
            if not calls:
                return
        try:
            reply = together(calls, self._predict, _unwritten, read * len(calls))
        except BaseException as error:  # of the model's: a Rust panic, SystemExit
            if len(calls) > 1:
                for call in calls:
                    yield from self._answered([call], read)
                return
            request = calls[0].request
            refusal = self._readers[request.protocol].failure(error, request)
            reply = Reply([_refused(request, refusal)])
        yield reply

    def _answered_alone(self, request: Request) -> Reply:
        started = time.perf_counter()
        try:
            if time.monotonic() > request.deadline:
                raise too_late()
            body = self._readers[request.protocol].answer_alone(request)
        except BaseException as error:
            return Reply([_refused(request, error)])
        answer = Answer(request.number, 200, body)
        return Reply([answer], [Batch(1, 0, 0.0, time.perf_counter() - started, 0.0)])

    def _predict(self, table: Table, params: Params | None) -> object:
        if self._engine is not None:
            with contextlib.suppress(Exception):  # the model itself can, or says why not
                return self._engine.alone(table)
        return self._model(table, params)


def _unwritten(call: Call, prediction: object, error: BaseException) -> Answer:
    if not isinstance(error, RefusedError):
        error = raised.unwritable(prediction, error, call.request)
    return _refused(call.request, error)


def _refused(request: Request, error: BaseException) -> Answer:
    if isinstance(error, RefusedError):
        return Answer(request.number, error.status, error.body)
    raised.note("prediction failed", error, request)
    body = error_body("INTERNAL_ERROR", UNEXPECTED.format(request.request_id))
    return Answer(request.number, 500, body)


def _engine(
    model: PyFuncModel, example: Table | None, options: Options
) -> tuple[engine.Engine | None, str | None]:
    """What predicts in place of the model, or None and the reason."""
    if not options.fast:
        return None, "switched off"
    try:
        return engine.find(model, example), None
    except engine.NoFastPath as reason:
        return None, str(reason)


def _fields(schema: Schema | ParamSchema | None) -> list[dict[str, Any]] | None:
    return schema.to_dict() if schema else None
