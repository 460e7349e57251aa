"""Agents from code, whose streams wait for what their test does: a file named in the request says
when the next event may come, another one is written when the generator is closed."""

import os
import time
from pathlib import Path

import mlflow
from mlflow.types.agent import ChatAgentChunk, ChatAgentMessage, ChatAgentResponse
from mlflow.types.llm import (
    ChatChoice,
    ChatChoiceDelta,
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatCompletionResponse,
    ChatMessage,
)
from mlflow.types.responses import ResponsesAgentResponse, ResponsesAgentStreamEvent


def acts(wanted: dict):
    """One number an event. `gate`: a folder where the file `N` lets event N come; `fail` says at
    which event to fail, and `how`."""
    gate = Path(wanted["gate"]) if "gate" in wanted else None
    try:
        for number in range(wanted.get("events", 3)):
            while gate and not (gate / f"{number}").exists():
                time.sleep(0.002)
            if number == wanted.get("fail"):
                _fail(wanted["how"])
            yield number
    finally:
        if gate:
            print(f"closed {gate}", flush=True)


def _fail(how: str) -> None:
    match how:
        case "raise":
            raise ValueError("secret of /srv/models/weights.bin")
        case "exit":
            raise SystemExit(3)
        case "crash":
            os._exit(3)


class Responses(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):
        item = self.create_text_output_item(text="whole", id="0")
        return ResponsesAgentResponse(output=[item], custom_outputs=request.custom_inputs)

    def predict_stream(self, request):
        wanted = request.custom_inputs or {}
        for number in acts(wanted):
            text = f"{number} {time.time()} {'x' * wanted.get('size', 0)}"
            delta = self.create_text_delta(delta=text, item_id="0")
            yield ResponsesAgentStreamEvent(**delta)


class Agent(mlflow.pyfunc.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):  # noqa: ARG002
        message = ChatAgentMessage(role="assistant", content="whole", id="0")
        return ChatAgentResponse(messages=[message])

    def predict_stream(self, messages, context=None, custom_inputs=None):  # noqa: ARG002
        for number in acts(custom_inputs or {}):
            content = f"{number} {context.user_id if context else None}"
            yield ChatAgentChunk(delta=ChatAgentMessage(role="assistant", content=content, id="0"))


class Chat(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):  # noqa: ARG002
        choice = ChatChoice(message=ChatMessage(role="assistant", content="whole"))
        return ChatCompletionResponse(choices=[choice], model="chat")

    def predict_stream(self, context, messages, params):  # noqa: ARG002
        for number in acts({}):
            delta = ChatChoiceDelta(content=f"{number} {params.temperature}")
            yield ChatCompletionChunk(choices=[ChatChunkChoice(delta=delta)], model="chat")


class Plain(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        return [f"whole {text}" for text in model_input]

    def predict_stream(self, model_input):
        for number in acts({}):
            yield {"text": f"{number} {model_input}"}


class Unable(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):  # noqa: ARG002
        return ResponsesAgentResponse(output=[self.create_text_output_item(text="whole", id="0")])
