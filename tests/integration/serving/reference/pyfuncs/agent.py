"""A chat agent from code."""

import mlflow
from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse


class Agent(mlflow.pyfunc.ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        content = f"{[message.role for message in messages]} {context} {custom_inputs}"
        return ChatAgentResponse(
            messages=[ChatAgentMessage(role="assistant", content=content, id="0")]
        )


mlflow.models.set_model(Agent())
