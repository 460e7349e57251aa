"""A text classifier: WordPiece tokens, the sentence embedding of MiniLM (ONNX), a linear head.

It needs numpy, onnxruntime and tokenizers only, so that every server can have it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

LONGEST = 128  # tokens; what is beyond is cut off


class Embedder:
    """Texts to unit vectors of shape (texts, 384), from a folder with model and tokenizer."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # every server decides by its processes how parallel it is
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        encoded = self._tokenizer.encode_batch(list(texts))
        tokens = {
            "input_ids": np.array([one.ids for one in encoded], np.int64),
            "attention_mask": np.array([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.array([one.type_ids for one in encoded], np.int64),
        }
        (states,) = self._session.run(None, tokens)
        mask = tokens["attention_mask"][:, :, None]
        vectors = (states * mask).sum(axis=1) / mask.sum(axis=1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Classifier:
    """Texts to one label each."""

    def __init__(self, folder: Path) -> None:
        self._embedder = Embedder(folder)
        head = np.load(folder / "head.npz")
        self._weights, self._bias, self._labels = head["weights"], head["bias"], head["labels"]

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        scores = self._embedder.embed(texts) @ self._weights.T + self._bias
        return self._labels[scores.argmax(axis=1)]
