#!/usr/bin/env bash
# A ChatModel without predict_stream is saved as one that streams.
#
# MLflow 3.17.2.
#
# Expected: `streamable: false` in MLmodel, as for a PythonModel without predict_stream: it is what
#           a server or a client has to tell by.
# Seen:     `streamable: true`, since the base class has a predict_stream, which raises.
#
#   PythonModel: streamable False
#   ChatModel: streamable True, NotImplementedError when it is asked to

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2
run <<'PYTHON'
import sys

import mlflow
from mlflow.types.llm import ChatCompletionResponse

CHOICE = {"message": {"role": "assistant", "content": "hello"}}


class Plain(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input


class Chat(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        return ChatCompletionResponse.from_dict({"choices": [CHOICE]})


def streamable(name, model):
    mlflow.pyfunc.save_model(name, python_model=model)
    return mlflow.models.Model.load(name).flavors["python_function"]["streamable"]


plain, chat = streamable("plain", Plain()), streamable("chat", Chat())
message = {"messages": [{"role": "user", "content": "hello"}]}
try:
    raised = list(mlflow.pyfunc.load_model("chat").predict_stream(message))
except NotImplementedError as error:
    raised = type(error).__name__
print(f"PythonModel: streamable {plain}")
print(f"ChatModel: streamable {chat}, {raised} when it is asked to")
sys.exit((plain, chat, raised) != (False, True, "NotImplementedError"))
PYTHON
