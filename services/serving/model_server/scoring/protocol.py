"""MLflow's scoring protocol: one request's bytes in, one answer's bytes out. Runs in a worker.

Reading, checking and writing are MLflow's own `scoring_server.invocations`, so that what
`mlflow models serve` answers is answered here. Different are only the errors:

| case                                  | mlflow models serve        | here                      |
| ------------------------------------- | -------------------------- | ------------------------- |
| any error                             | message unbounded, often   | message at most 2,000     |
|                                       | with data and stack trace  | characters, without them  |
| content type missing                  | 500, plain text            | 415 BAD_REQUEST           |
| content type or its parameter unknown | 415, plain text            | 415 BAD_REQUEST           |
| body that MLflow's parser trips over  | 500, plain text            | 400 BAD_REQUEST           |
| parser's error with a 5xx code        | that                       | 400, its error code       |
| model raises                          | 400 BAD_REQUEST with trace | 400 BAD_REQUEST, no trace |
| prediction that is not JSON           | 500, plain text            | 500 INTERNAL_ERROR        |

Traces go to the log, under the request id.
"""

import logging
import time
from collections.abc import Iterator

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, scoring_server

from model_server.errors import UNEXPECTED, RefusedError, error_body, too_late, without_paths
from model_server.workers.wire import Answer, Request

log = logging.getLogger(__name__)


class Scorer:
    """Answers requests with one model."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model
        self._schema = model.metadata.get_input_schema()

    def answers(self, requests: list[Request]) -> Iterator[Answer]:
        """One answer a request, each as soon as it is there, in any order.

        All requests that waited are here together: merging their rows into one prediction
        belongs in this place and needs no change elsewhere.
        """
        for request in requests:
            yield self.answer(request)

    def answer(self, request: Request) -> Answer:
        try:
            if time.monotonic() > request.deadline:
                raise too_late()
            status, body = 200, self._score(request)
        except RefusedError as refusal:
            status, body = refusal.status, refusal.body
        except Exception:
            log.exception("prediction failed", extra={"request_id": request.request_id})
            status = 500
            body = error_body("INTERNAL_ERROR", UNEXPECTED.format(request.request_id))
        return Answer(request.number, status, body)

    def _score(self, request: Request) -> bytes:
        if request.content_type is None:
            supported = ", ".join(scoring_server.CONTENT_TYPES)
            raise RefusedError(
                415, "BAD_REQUEST", f"Content-Type is missing; it is one of {supported}."
            )
        call = _Call(self._model)
        try:
            result = scoring_server.invocations(
                request.body, request.content_type, call, self._schema
            )
        except MlflowException as error:
            raise self._refusal(error, call, request.request_id) from None
        except Exception:
            if call.begun:
                raise
            raise RefusedError(
                400,
                "BAD_REQUEST",
                "Invalid input. The body cannot be read as what its Content-Type says.",
            ) from None
        if result.status != 200:
            raise RefusedError(result.status, "BAD_REQUEST", result.response)
        return result.response.encode()

    def _refusal(self, error: MlflowException, call: "_Call", request_id: str) -> RefusedError:
        status = error.get_http_status_code()
        if not call.begun and status >= 500:
            status = 400
        if call.begun and (trace := error.json_kwargs.get("stack_trace")):
            log.warning("model raised", extra={"request_id": request_id, "trace": trace})
        return RefusedError(
            status, error.error_code, self._without_data(call.message or error.message)
        )

    def _without_data(self, message: str) -> str:
        """MLflow repeats the whole input in two of its messages."""
        start, found, problem = message.rpartition(f"' with schema '{self._schema}'. Error: ")
        if found:
            message = f"{start.partition(' of data ')[0]}. Error: {problem}"
        return without_paths(message.partition("\nInput: \n")[0])


class _Call:
    """The model as `invocations` sees it for one request; remembers how far the request came."""

    def __init__(self, model: PyFuncModel) -> None:
        self._model = model
        self.metadata = model.metadata
        self.begun = False
        self.message: str | None = None

    def predict(self, data: object, params: dict | None = None) -> object:
        self.begun = True
        try:
            return self._model.predict(data, params=params)
        except MlflowException as error:
            self.message = error.message  # `invocations` puts the whole input in front of it
            raise
