"""Answers what waits with one model: each request read by its protocol, rows predicted together
where that gives the same, answers as soon as they are there."""

import importlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from mlflow.models.utils import SERVING_INPUT_FILENAME
from mlflow.pyfunc import PyFuncModel

from model_server.errors import UNEXPECTED, RefusedError, error_body, too_late
from model_server.options import Options
from model_server.scoring.batching import answered, batches
from model_server.scoring.call import Call, Reader
from model_server.scoring.independence import flavor, why_not_batched
from model_server.scoring.prediction import Predictor
from model_server.scoring.protocol import MlflowReader
from model_server.scoring.table import Table
from model_server.workers import wire
from model_server.workers.wire import Answer, Batch, Reply, Request

log = logging.getLogger(__name__)


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
        self._model = model
        self._about = (name, version)
        self._readers: dict[str, Reader] = {wire.MLFLOW: MlflowReader(model)}
        self._own = Predictor(model)
        self._engine, engine_reason = _engine(model, folder, options)
        self.example = _input_example(folder)
        example = self._read_example()
        batching_reason = why_not_batched(
            model,
            options.batch,
            example.table if example else None,
            example.params if example else None,
            self._predict,
        )
        self._merges = batching_reason is None
        signature = model.metadata.signature
        self.description = wire.Description(
            flavor=flavor(model),
            inputs=_fields(signature and signature.inputs),
            outputs=_fields(signature and signature.outputs),
            params=_fields(signature and signature.params),
            engine=self._engine.name if self._engine else "model",
            engine_reason=engine_reason,
            batching=self._merges,
            batching_reason=batching_reason,
        )

    def replies(self, requests: list[Request]) -> Iterator[Reply]:
        """One answer a request, in any order, each batch as soon as it is done."""
        started = time.perf_counter()
        now = time.monotonic()
        refused: list[Answer] = []
        calls: list[Call] = []
        alone: list[Request] = []
        for request in requests:
            try:
                if now > request.deadline:
                    raise too_late()
                call = self._reader(request).read(request)
            except Exception as error:
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
            yield self._answered(batch, read)
        for request in alone:
            yield self._answered_alone(request)

    def _answered(self, calls: list[Call], read: float) -> Reply:
        now = time.monotonic()
        late = [call.request for call in calls if now > call.request.deadline]
        if not late:
            return answered(calls, self._predict, self._failed, read * len(calls))
        reply = Reply([_refused(request, too_late()) for request in late])
        if calls := [call for call in calls if now <= call.request.deadline]:
            rest = answered(calls, self._predict, self._failed, read * len(calls))
            reply = Reply(reply.answers + rest.answers, rest.batches)
        return reply

    def _answered_alone(self, request: Request) -> Reply:
        started = time.perf_counter()
        try:
            if time.monotonic() > request.deadline:
                raise too_late()
            answer = Answer(request.number, 200, self._reader(request).answer_alone(request))
        except Exception as error:
            return Reply([_refused(request, error)])
        return Reply([answer], [Batch(1, 0, 0.0, time.perf_counter() - started, 0.0)])

    def _predict(self, table: Table, params: dict | None) -> object:
        if self._engine is not None:
            try:
                return self._engine.predict(table)
            except Exception as error:  # the model itself says it better, or can do it
                log.debug("engine declined", extra={"reason": repr(error)})
        return self._own(table, params)

    def _failed(self, call: Call, error: Exception, by_model: bool) -> Answer:
        request = call.request
        if by_model and not isinstance(error, RefusedError):
            error = self._reader(request).failure(error, request)
        return _refused(request, error)

    def _reader(self, request: Request) -> Reader:
        reader = self._readers.get(request.protocol)
        if reader is None:
            v2 = importlib.import_module("model_server.scoring.v2")
            reader = self._readers[wire.V2] = v2.V2Reader(
                self._model, *self._about, self._readers[wire.MLFLOW].failure
            )
        return reader

    def _read_example(self) -> Call | None:
        if self.example is None:
            return None
        request = Request(0, "example", "application/json", self.example, 0.0)
        return self._readers[wire.MLFLOW].read(request)


def _refused(request: Request, error: Exception) -> Answer:
    if isinstance(error, RefusedError):
        return Answer(request.number, error.status, error.body)
    log.error(
        "prediction failed",
        exc_info=error,
        extra={"request_id": request.request_id, "trace_id": request.trace},
    )
    body = error_body("INTERNAL_ERROR", UNEXPECTED.format(request.request_id))
    return Answer(request.number, 500, body)


def _engine(model: PyFuncModel, folder: Path, options: Options) -> tuple[object | None, str | None]:
    """What predicts in place of the model, or None and the reason."""
    if not options.fast:
        return None, "switched off"
    if model.metadata.get_params_schema() is not None:
        return None, "the signature has params"
    try:
        from model_server.scoring import fastpath
    except ImportError:
        return None, "there is none"
    try:
        return fastpath.find(model, folder), None
    except fastpath.NoFastPath as no:
        return None, str(no)


def _fields(schema: object) -> list[dict] | None:
    return schema.to_dict() if schema else None


def _input_example(folder: Path) -> bytes | None:
    file = folder / SERVING_INPUT_FILENAME
    return file.read_bytes() if file.is_file() else None
