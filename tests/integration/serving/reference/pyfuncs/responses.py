"""A responses agent from code."""

import mlflow
from mlflow.types.responses import ResponsesAgentResponse


class Agent(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):
        item = self.create_text_output_item(text=str(len(request.input)), id="0")
        return ResponsesAgentResponse(output=[item], custom_outputs=request.custom_inputs)


mlflow.models.set_model(Agent())
