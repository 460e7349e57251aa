"""The Open Inference Protocol: one request's bytes in, one answer's bytes out. Runs in a worker.

| what                  | here                                                                    |
| --------------------- | ----------------------------------------------------------------------- |
| inputs                | `inputs` says which tensors a signature takes                           |
| outputs               | `outputs` says how predictions are written                              |
| name of an output     | as the metadata promises; without a signature a frame's column, a       |
|                       | dict's key, a series' name, else "predict"                              |
| requested `outputs`   | only these, in this order; 422 for one that there is not                |
| request `parameters`  | the model's params, by the signature; others are ignored                |
| content_type          | "pd", "np", "str", "base64", "datetime", "json", where one is of use    |
| binary tensors        | refused in requests (400); when asked for, answers are JSON all the same |
| not JSON              | 400                                                                     |
| does not fit          | 422                                                                     |
| model raises          | as in MLflow's protocol                                                 |
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_params_schema
from mlflow.pyfunc import PyFuncModel

from model_server.errors import RefusedError, without_values
from model_server.processes.wire import Request, output_names
from model_server.scoring import raised, typehints
from model_server.scoring.call import Call, Params
from model_server.scoring.v2 import outputs
from model_server.scoring.v2.inputs import ColumnInputs, TensorInputs, unsigned
from model_server.scoring.v2.strict import StrictTensors
from model_server.scoring.v2.tensors import Tensor, misfit

DEFAULT_OUTPUT = "predict"

Failure = Callable[[BaseException, Request], RefusedError]
"""What is answered when the model raised for a request."""


class _Wanted(msgspec.Struct):
    name: str


class _Body(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Wanted] | None = None


_decode = msgspec.json.Decoder(_Body).decode


class V2Reader:
    """Reads requests for one model; refuses, where `strict`, values that would change."""

    def __init__(
        self,
        model: PyFuncModel,
        name: str,
        version: str,
        failure: Failure,
        strict: bool = False,
    ) -> None:
        self._model = model
        self._strict = StrictTensors(model.metadata) if strict else None
        self._about: dict[str, object] = {"model_name": name, "model_version": version}
        self.failure = failure
        metadata = model.metadata
        schema = metadata.get_input_schema()
        self._params = metadata.get_params_schema()
        self._params_names = {param.name for param in self._params.params} if self._params else ()
        promised = metadata.get_output_schema()
        self._output_names = output_names(promised and promised.to_dict())
        # Such a model is given plain values, made by MLflow's own code.
        self._by_type_hint = metadata._is_signature_from_type_hint()
        self._is_plain = not self._by_type_hint and not metadata._is_type_hint_from_example()
        self._signature: ColumnInputs | TensorInputs | None = None
        if schema and schema.inputs:
            self._signature = (
                TensorInputs(schema) if schema.is_tensor_spec() else ColumnInputs(schema)
            )

    def read(self, request: Request) -> Call | None:
        """The call of a request; None for what `answer_alone` is to answer. Raises RefusedError."""
        body = _read(request)
        if self._strict:
            self._strict.check(body.inputs)
        if self._signature is None or not self._is_plain:
            return None
        table = self._signature.table(body.inputs)
        if table is None:
            return None
        sent, params = self._sent(body)
        write = functools.partial(self._write, body)
        return Call(request, table, write, params, msgspec.json.encode(sent) if sent else b"")

    def answer_alone(self, request: Request) -> bytes:
        """The body of a 200, from a prediction by MLflow's own code. Raises RefusedError."""
        body = _read(request)
        _, params = self._sent(body)
        data = self._data(body)
        try:
            prediction = self._model.predict(data, params=params)
        except BaseException as error:
            raise self._misfit(error, data, request) or self.failure(error, request) from None
        try:
            return self._write(body, prediction)
        except RefusedError:
            raise
        except BaseException as error:
            raise raised.unwritable(prediction, error, request) from None

    def _misfit(self, error: BaseException, data: object, request: Request) -> RefusedError | None:
        if self._by_type_hint and isinstance(error, MlflowException):
            problem = typehints.misfit(self._model, data, request)
            return misfit(problem) if problem else None
        return _misfit(error)

    def _data(self, body: _Body) -> object:
        if self._signature is None:
            return unsigned(body.inputs, (body.parameters or {}).get("content_type"))
        if isinstance(self._signature, TensorInputs):
            return self._signature.data(body.inputs)
        frame = self._signature.frame(body.inputs)
        return frame.iloc[:, 0].tolist() if self._by_type_hint else frame

    def _sent(self, body: _Body) -> tuple[Params, Params | None]:
        """The params in the request, and all that the model is given."""
        parameters = body.parameters or {}
        sent = {name: parameters[name] for name in self._params_names if name in parameters}
        try:
            return sent, _enforce_params_schema(dict(sent) or None, self._params)
        except MlflowException as error:
            raise misfit(without_values(error.message)) from None

    def _write(self, body: _Body, prediction: object) -> bytes:
        named = outputs.named(prediction, self._output_names, DEFAULT_OUTPUT)
        if body.outputs:
            named = _selected(named, [wanted.name for wanted in body.outputs])
        answer = dict(self._about)
        if body.id is not None:
            answer["id"] = body.id
        answer["outputs"] = [outputs.output(name, values) for name, values in named]
        return msgspec.json.encode(answer)


def _read(request: Request) -> _Body:
    kind = (request.content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "BAD_REQUEST", "Content-Type is not application/json.")
    try:
        body = _decode(request.body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        # Of a body that is not JSON, too, only the first fault is told: look at all of it.
        if not _is_json(request.body):
            raise RefusedError(
                400,
                "BAD_REQUEST",
                "The body cannot be read as JSON. Binary tensors are not supported: send them as "
                "JSON (binary_data=False).",
            ) from None
        raise misfit(f"The body is no inference request: {error}") from None
    if not body.inputs:
        raise misfit("There are no inputs.")
    if len({tensor.name for tensor in body.inputs}) < len(body.inputs):
        raise misfit("Two inputs have one name.")
    return body


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        return True  # its numbers are too large
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def _selected(named: list[tuple[str, object]], names: list[str]) -> list[tuple[str, object]]:
    by_name = dict(named)
    if unknown := [name for name in names if name not in by_name]:
        raise misfit(
            f"The model has no output {unknown[0][:100]!r}; it has "
            + ", ".join(name for name, _ in named[:20])
        )
    return [(name, by_name[name]) for name in names]


def _misfit(error: BaseException) -> RefusedError | None:
    """Refusal of data that MLflow's own check against the signature refused; without the data,
    which MLflow repeats."""
    if not isinstance(error, MlflowException):
        return None
    begin, middle, problem = error.message.partition(" with schema ")
    if not middle or not begin.startswith("Failed to enforce schema"):
        return None
    problem = without_values(problem.rpartition(". Error: ")[2])
    return misfit(f"Failed to enforce schema. Error: {problem}")
