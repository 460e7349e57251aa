"""MLflow's scoring protocol: one request's bytes in, one answer's bytes out. Runs in a worker.

What conversion.py can read is predicted together with the other requests that wait. All else is
read, checked and written by MLflow's own `scoring_server.invocations`, alone, so that what `mlflow
models serve` answers is answered here. Different are only the errors:

| case                                  | mlflow models serve        | here                      |
| ------------------------------------- | -------------------------- | ------------------------- |
| any error                             | message unbounded, often   | message at most 2,000     |
|                                       | with data and stack trace  | characters, without them  |
| content type missing                  | 500, plain text            | 415 BAD_REQUEST           |
| content type or its parameter unknown | 415, plain text            | 415 BAD_REQUEST           |
| Content-Encoding, but for identity    | ignored                   | 415 BAD_REQUEST           |
| body that MLflow's parser trips over  | 500, plain text            | 400 BAD_REQUEST           |
| table mostly filled up (padding.py)   | all memory                 | 400 INVALID_PARAMETER_... |
| parser's error with a 5xx code        | that                       | 400, its error code       |
| model raises                          | 400 BAD_REQUEST, a fixed   | 400 BAD_REQUEST, with     |
|                                       | message, stack trace       | the exception's own words |
| type hint's fields do not fit         | 400 INVALID_PARAMETER_...  | the same, naming fields   |
|                                       | with the data              | and no data               |
| prediction that is not JSON           | 500, plain text            | 500 INTERNAL_ERROR,       |
|                                       |                            | naming its type           |

No error repeats a value that was sent (scoring/sent.py). Traces go to the log, under the request
id. And what asks a model for a stream that has one, gets it: see streaming.py.
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from model_server.errors import RefusedError, without_paths, without_values
from model_server.processes.wire import WARM_UP, Request
from model_server.remedies import with_remedy
from model_server.scoring import raised, typehints
from model_server.scoring.call import Call, Params
from model_server.scoring.mlflow import padding, unsigned
from model_server.scoring.mlflow.conversion import DeclinedError, compiled, params_reader
from model_server.scoring.mlflow.strict import StrictBodies, may_have_changed
from model_server.scoring.sent import TooManyValuesError
from model_server.scoring.table import Table

NO_EVENT = object()
"""Stands for a first event, where a stream has none."""
_ERRORS = {int(status) for status in HTTPStatus if status >= 400} | {499}
"""Statuses of errors; 499 is MLflow's, of CANCELLED."""
_SEVERAL = "'predict_stream' requires single input"
"""How MLflow begins to say this, with a 500."""


class MlflowReader:
    """Reads requests for one model; refuses, where `strict`, those that MLflow would change."""

    def __init__(self, model: PyFuncModel, strict: bool = False) -> None:
        self._model = model
        self._strict = StrictBodies(model.metadata) if strict else None
        self._schema = model.metadata.get_input_schema()
        is_usual = not _converts_itself(model)
        self._has_type_hint = not is_usual
        self._converter = compiled(self._schema) if is_usual else None
        self._is_unsigned = is_usual and self._schema is None
        self._params = params_reader(model.metadata.get_params_schema())

    def read(self, request: Request) -> Call | None:
        """None for what `answer_alone` is to answer."""
        if not _is_json(request.content_type):
            return None
        if self._converter is not None and (converted := self._converter.read(request.body)):
            table, params = converted
            if self._strict and (params or may_have_changed(table)):
                self._strict.check(request.body, scoring_server.CONTENT_TYPE_JSON)
            try:
                return Call(request, table, written, self._params(params), params)
            except DeclinedError:
                return None
        if self._is_unsigned:
            padding.check(request.body, scoring_server.CONTENT_TYPE_JSON, None)
            if self._strict:
                self._strict.check(request.body, scoring_server.CONTENT_TYPE_JSON)
            if parsed := unsigned.read(request.body, self._model.metadata):
                table, group = parsed
                return Call(request, table, written, None, group)
        return None

    def may_stream(self, request: Request) -> bool:
        """Whether its body is JSON with `"stream": true` in it."""
        if b'"stream"' not in request.body or not _is_json(request.content_type):
            return False
        try:
            return _asked.decode(request.body).stream is True
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False

    def example(self, body: bytes | None) -> Call | None:
        """The input example read, or a row that the signature allows; None where there is none
        that could be merged with others."""
        request = Request(0, "example", scoring_server.CONTENT_TYPE_JSON, body or b"", 0.0)
        try:
            call = self.read(request)
        except RefusedError:  # as the warm-up will say
            call = None
        if call is None and self._converter is not None:
            return Call(request, self._converter.specimen(), written, self._params(b""))
        return call

    def example_table(self, body: bytes | None) -> Table | None:
        """The rows of the input example, where conversion.py reads them."""
        converted = self._converter.read(body) if self._converter and body else None
        return converted[0] if converted else None

    def answer_alone(self, request: Request) -> bytes:
        """The body of a 200, by MLflow's own code. Raises RefusedError."""
        content_type = request.content_type
        if content_type is None:
            supported = ", ".join(scoring_server.CONTENT_TYPES)
            raise RefusedError(
                415, "BAD_REQUEST", f"Content-Type is missing; it is one of {supported}."
            )
        return self._invoked(request, content_type, _Invocation(self._model))

    def stream(self, request: Request) -> tuple[object, Iterator[object]]:
        """The first event and the others; NO_EVENT where there is not even one. Read,
        checked and, up to the first event, refused as by `answer_alone`: there, MLflow is told
        that this event is the prediction."""
        call = _StreamInvocation(self._model)
        self._invoked(request, request.content_type or "", call)
        return call.first, call.events

    def _invoked(self, request: Request, content_type: str, call: "_Invocation") -> bytes:
        padding.check(request.body, content_type, self._schema)
        if self._strict:
            self._strict.check(request.body, content_type)
        try:
            result = scoring_server.invocations(request.body, content_type, call, self._schema)
        except BaseException as error:
            raise self._refusal(error, call, request) from None
        if result.status != 200:
            raise RefusedError(result.status, "BAD_REQUEST", result.response)
        body: bytes = result.response.encode()
        return body

    def failure(self, error: BaseException, request: Request) -> RefusedError:
        """What `answer_alone` would raise when the model raises `error`."""
        try:
            return self._failure(error, request)
        except BaseException:  # code of the exception's own, which is the model's as well
            told = f"The model raised {type(error).__name__}{raised.mark(request)}"
            return RefusedError(400, "BAD_REQUEST", told)

    def _failure(self, error: BaseException, request: Request) -> RefusedError:
        if isinstance(error, MlflowException):
            return self._of_mlflow(error, error.get_http_status_code(), request)
        told = raised.noted("model raised", error, request)
        return RefusedError(400, "BAD_REQUEST", f"The model raised {told}{raised.mark(request)}")

    def _refusal(self, error: BaseException, call: "_Invocation", request: Request) -> RefusedError:
        if call.error is not None:
            return self._misfit(call, request) or self.failure(call.error, request)
        if call.is_done:
            return raised.unwritable(call.result, error, request)
        if isinstance(error, MlflowException):
            status = error.get_http_status_code()
            return self._of_mlflow(error, status if status < 500 else 400, request)
        return RefusedError(
            400,
            "BAD_REQUEST",
            "Invalid input. The body cannot be read as what its Content-Type says.",
        )

    def _misfit(self, call: "_Invocation", request: Request) -> RefusedError | None:
        """Refusal of data that does not fit the model's type hints."""
        error = call.error
        if not self._has_type_hint or not isinstance(error, MlflowException):
            return None
        if (problem := typehints.misfit(self._model, call.data, request)) is None:
            return None
        return _refused(error.get_http_status_code(), error.error_code, problem)

    def _of_mlflow(self, error: MlflowException, status: int, request: Request) -> RefusedError:
        """Its own words, from which the data is taken that MLflow repeats in two of them."""
        message = error.message
        start, middle, problem = message.rpartition(f"' with schema '{self._schema}'. Error: ")
        if middle:
            message = f"{start.partition(' of data ')[0]}. Error: {problem}"
        message = without_paths(without_values(message.partition("\nInput: \n")[0]))
        try:
            message = raised.clean(message, request)
        except TooManyValuesError:
            if status != 400:  # such an answer leaves a line in the log
                message = f"The model raised {type(error).__name__}."
        if request.number != WARM_UP:  # whose problem is told with the version's
            message = with_remedy(message)
        return _refused(status, error.error_code, message)


def _refused(status: object, error_code: object, message: str) -> RefusedError:
    """Refusal with the status and code of an exception, which may be of a class of the model's."""
    if not isinstance(status, int) or status not in _ERRORS:
        status = 500
    code = error_code if isinstance(error_code, str) else "INTERNAL_ERROR"
    return RefusedError(status, code, message)


def _converts_itself(model: PyFuncModel) -> bool:
    """Models from type hints or with another form of input than their signature says."""
    metadata = model.metadata
    return bool(metadata._is_signature_from_type_hint() or metadata._is_type_hint_from_example())


@lru_cache(maxsize=64)
def _is_json(content_type: str | None) -> bool:
    """JSON as `invocations` takes it."""
    if content_type is None:
        return False
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    if kind != scoring_server.CONTENT_TYPE_JSON:
        return False
    pairs = [parameter.partition("=") for parameter in parameters]
    return all(name == "charset" and value.lower() == "utf-8" for name, _, value in pairs)


class _Asked(msgspec.Struct):
    stream: object = None


_asked = msgspec.json.Decoder(_Asked)

_PLAIN = ({str}, {int}, {float}, {bool})
_encode = msgspec.json.Encoder().encode


def written(result: object) -> bytes:
    """The body of an answer. Raises TypeError for what JSON has no form for."""
    values = result.tolist() if isinstance(result, np.ndarray) else result
    if _is_plain(result, values):
        try:
            body = b'{"predictions": %b}' % _encode(values)  # a space, as MLflow writes it
        except (TypeError, UnicodeEncodeError, OverflowError):
            body = b"null"
        if b"null" not in body:  # which msgspec writes for NaN, too
            return body
    text = io.StringIO()
    scoring_server.predictions_to_json(result, text)
    return text.getvalue().encode()


def _is_plain(result: object, values: object) -> bool:
    if isinstance(result, np.ndarray) and result.dtype.kind in "fiubU":
        return True
    return isinstance(values, list) and set(map(type, values)) in _PLAIN


class _RaisedError(Exception):
    """The model raised; MLflow's own code is to learn no more."""


class _Invocation:
    """The model as `invocations` sees it for one request; remembers how far the request came."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model
        self.metadata = model.metadata
        self.data: object = None
        self.error: BaseException | None = None
        """That the model raised."""
        self.is_done = False
        self.result: object = None
        """What the model returned, once it is done."""

    def predict(self, data: object, params: Params | None = None) -> object:
        """What the model returns. Raises _RaisedError where it raises."""
        self.data = data
        try:
            self.result = self._ask(data, params)
        except BaseException as error:  # nothing that a model raises may end the worker
            self.error = error
            raise _RaisedError from None
        self.is_done = True
        return self.result

    def _ask(self, data: Any, params: Params | None) -> object:
        return self._model.predict(data, params=params)


class _StreamInvocation(_Invocation):
    """The model for a request that is answered by events."""

    def __init__(self, model: PyFuncModel) -> None:
        super().__init__(model)
        self.first: object = NO_EVENT
        self.events: Iterator[object] = iter(())

    def _ask(self, data: Any, params: Params | None) -> object:
        try:
            self.events = self._model.predict_stream(data, params=params)
            self.first = next(self.events, NO_EVENT)
        except MlflowException as error:
            if error.message.startswith(_SEVERAL):
                raise MlflowException.invalid_parameter_value(
                    "A stream answers one input; the request has none, or several."
                ) from None
            raise
        return []  # for `invocations` to write; nobody reads it
