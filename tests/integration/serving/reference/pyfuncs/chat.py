"""A chat model from code."""

import mlflow
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage, ChatParams


class Parrot(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages: list[ChatMessage], params: ChatParams):  # noqa: ARG002
        said = [message.to_dict() for message in messages]
        message = ChatMessage(role="assistant", content=f"{said} {params.to_dict()}")
        choice = ChatChoice(index=0, message=message)
        return ChatCompletionResponse(choices=[choice], model="parrot", created=0, id="0")


mlflow.models.set_model(Parrot())
