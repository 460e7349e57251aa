"""The model that triages: MiniLM's embedding of each text, and a linear head on it.

MLflow keeps this file as the model's code, so it imports none of the project's other modules.
"""

import os
from collections.abc import Iterable

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
from tokenizers import Tokenizer


class Embedder:
    """Sentence embeddings of all-MiniLM-L6-v2, from its ONNX file and its tokenizer.json."""

    def __init__(self, model: str, tokenizer: str) -> None:
        self.tokenizer = Tokenizer.from_file(tokenizer)  # cuts off what is beyond 128 tokens
        self.tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("ORT_INTRA_OP_NUM_THREADS", "1"))
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def embed(self, text: str) -> np.ndarray:
        """A unit vector, float64 (384,): the mean of the tokens' states.

        One text at a time. So a result depends on no other text, to the last bit, and it is
        faster than padding a batch to its longest text.
        """
        tokens = np.array([self.tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        inputs["token_type_ids"] = np.zeros_like(tokens)
        (states,) = self.session.run(None, inputs)
        mean = states[0].mean(axis=0, dtype=np.float64)
        return mean / np.linalg.norm(mean)


class Head:
    """Logistic regression: `weights` (classes, 384), `bias` (classes,), `labels` (classes,)."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray, labels: np.ndarray) -> None:
        self.weights, self.bias, self.labels = weights, bias, labels

    def answer(self, vector: np.ndarray) -> tuple[str, float]:
        """The likeliest label and its probability."""
        scores = self.weights @ vector + self.bias
        chances = np.exp(scores - scores.max())
        best = int(scores.argmax())
        return str(self.labels[best]), float(chances[best] / chances.sum())


class Triage(mlflow.pyfunc.PythonModel):
    """A table with a column `text` to a table with `label` and `probability`, row by row."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Open the artifacts `model`, `tokenizer` and `head`."""
        files = context.artifacts
        self.embedder = Embedder(files["model"], files["tokenizer"])
        with np.load(files["head"], allow_pickle=False) as arrays:
            self.head = Head(**arrays)

    def predict(
        self,
        context: mlflow.pyfunc.PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, object] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Answer each row."""
        return pd.DataFrame(self.answers(model_input["text"]), columns=["label", "probability"])

    def answers(self, texts: Iterable[str]) -> list[tuple[str, float]]:
        """Label and probability of each text."""
        return [self.head.answer(self.embedder.embed(text)) for text in texts]


mlflow.models.set_model(Triage())
