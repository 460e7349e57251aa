"""T5 as an MLflow model: texts and a task in, texts out, on ONNX Runtime.

This file is the model. MLflow stores it beside the weights and runs it wherever the model is loaded
("models from code"), so it imports nothing of this project.

The weights are as Hugging Face's optimum exports them: an encoder, and a "merged" decoder, whose
first step computes a cache of keys and values that all later steps take and lengthen.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from tokenizers import Tokenizer

TASKS = (
    "summarize",
    "translate English to German",
    "translate English to French",
    "translate English to Romanian",
)
"""What T5 was trained for, in the words that it was trained with."""
LONGEST = 512
"""Tokens of an answer: the most that `max_length` may be."""
ROWS = 16
"""Texts that run together; at 512 tokens, t5-small's attention takes 8 MiB a text and layer."""


class UnusableError(ValueError):
    """Files that are no T5; the message says which and why, in one line."""


class T5:
    """Answers texts by greedy decoding. Raises UnusableError for files that are no T5.

    A text longer than the model takes (512 tokens for t5-small, those of the task included) is cut
    off at its end.
    """

    def __init__(self, config: str, tokenizer: str, encoder: str, decoder: str) -> None:
        self.config = _config(Path(config))
        self.pad, self.end = self.config["pad_token_id"], self.config["eos_token_id"]
        self.tokenizer = _tokenizer(Path(tokenizer), self.config)
        self.encoder, self.decoder = _session(Path(encoder)), _session(Path(decoder))
        self.inputs = {tensor.name for tensor in self.decoder.get_inputs()}
        self.outputs = [tensor.name for tensor in self.decoder.get_outputs()]
        self.cached = sorted(name for name in self.inputs if name.startswith("past_key_values."))
        self._check()
        # Quantized files scale by the largest number in the whole batch: there, a row's answer
        # would depend on the other rows.
        self.rows = 1 if "quantized" in Path(decoder).name else ROWS

    def _check(self) -> None:
        """Whether the graphs have the inputs and outputs that are used here, and no others."""
        taken = {tensor.name for tensor in self.encoder.get_inputs()}
        if taken != {"input_ids", "attention_mask"}:
            raise UnusableError(f"encoder: takes {_list(taken)}, not input_ids and attention_mask")
        known = {"input_ids", "encoder_attention_mask", "encoder_hidden_states", "use_cache_branch"}
        if unknown := self.inputs - known - set(self.cached):
            raise UnusableError(f"decoder: takes {_list(unknown)}, which is not known here")
        needed = {"logits", *map(_present, self.cached)}
        if not self.cached or "input_ids" not in self.inputs or needed - set(self.outputs):
            raise UnusableError("decoder: is no merged decoder with a cache of keys and values")

    def answers(self, texts: list[str], most: int) -> list[str]:
        """The answer to each text, of `most` tokens at most, the one that ends it included.

        Texts of similar length run together, so that little is padded.
        """
        tokens = [self.tokenizer.encode(text).ids for text in texts]
        order = sorted(range(len(texts)), key=lambda at: len(tokens[at]))
        answers = [""] * len(texts)
        for start in range(0, len(order), self.rows):
            group = order[start : start + self.rows]
            written = self.written([tokens[at] for at in group], most)
            for at, answer in zip(group, written.tolist(), strict=True):
                answers[at] = self.tokenizer.decode(answer)
        return answers

    def written(self, sources: list[list[int]], most: int) -> np.ndarray:
        """The tokens of the answers, int64 (rows, steps); after a row's end there is padding."""
        ids, mask = self.padded(sources)
        hidden = self.encoder.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        feeds = {
            "encoder_hidden_states": hidden,
            "encoder_attention_mask": mask,
            **{name: self._nothing(len(sources)) for name in self.cached},
        }
        token = np.full((len(sources), 1), self.config["decoder_start_token_id"], np.int64)
        ended = np.zeros(len(sources), bool)
        steps = []
        while len(steps) < most and not ended.all():
            feeds |= {"input_ids": token, "use_cache_branch": np.array([bool(steps)])}
            inputs = {name: feeds[name] for name in self.inputs}
            outputs = dict(zip(self.outputs, self.decoder.run(None, inputs), strict=True))
            for name in self.cached:
                # Keys and values of the text stay those of the first step; later ones are empty.
                if not steps or ".decoder." in name:
                    feeds[name] = outputs[_present(name)]
            best = np.where(ended, self.pad, _best(outputs["logits"][:, -1]))
            ended |= best == self.end
            steps.append(best)
            token = best[:, None]
        return np.stack(steps, axis=1)

    def padded(self, sources: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and attention mask, both int64 (rows, the longest row)."""
        lengths = np.array([len(source) for source in sources])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        ids = np.full(mask.shape, self.pad, np.int64)
        ids[mask == 1] = np.concatenate(sources)
        return ids, mask

    def _nothing(self, rows: int) -> np.ndarray:
        """An empty cache: (rows, heads, 0, size of a key)."""
        return np.zeros((rows, self.config["num_heads"], 0, self.config["d_kv"]), np.float32)


class Summarizer(PythonModel):
    """What MLflow calls. Input: a column `text`; output: a column `output`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the files that the model was logged with."""
        self.t5 = T5(**context.artifacts)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict | None = None,
    ) -> pd.DataFrame:
        """Answer each row. A text without a word, or a missing one, has an empty answer."""
        task, most = params["task"], params["max_length"]
        if task not in TASKS:
            raise _refused(f"task: {str(task)[:50]!r} is none of: {', '.join(TASKS)}")
        if not 1 <= most <= LONGEST:
            raise _refused(f"max_length: {most} is not from 1 to {LONGEST}")
        texts = model_input["text"].fillna("").tolist()
        asked = [at for at, text in enumerate(texts) if text.strip()]
        answers = [""] * len(texts)
        summaries = self.t5.answers([f"{task}: {texts[at]}" for at in asked], most)
        for at, answer in zip(asked, summaries, strict=True):
            answers[at] = answer
        return pd.DataFrame({"output": answers})


def _config(file: Path) -> dict:
    """The model's description, with what T5 leaves out by default."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnusableError(f"{file.name}: is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("model_type") != "t5":
        raise UnusableError(f"{file.name}: does not describe a T5")
    defaults = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "d_kv": 64}
    config = {**defaults, "num_heads": 8, "n_positions": 512, **config}
    for name in (*defaults, "num_heads", "n_positions", "vocab_size"):
        if not isinstance(config.get(name), int):
            raise UnusableError(f"{file.name}: {name} is not a whole number")
    return config


def _tokenizer(file: Path, config: dict) -> Tokenizer:
    """The tokenizer, which cuts off what is too long for the model and pads nothing."""
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no other class
        raise UnusableError(f"{file.name}: is no tokenizer: {_line(error)}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(config["n_positions"])
    if tokenizer.encode("a text").ids[-1] != config["eos_token_id"]:
        raise UnusableError(f"{file.name}: does not end a text as this model expects it")
    if tokenizer.get_vocab_size() > config["vocab_size"]:
        raise UnusableError(f"{file.name}: has more tokens than the model")
    return tokenizer


def _session(file: Path) -> object:
    """A graph, ready to run, on one thread unless OMP_NUM_THREADS says otherwise."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # is read when it is imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdecimal() and int(threads) else 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises a dozen classes, without one in common
        raise UnusableError(f"{file.name}: cannot be loaded: {_line(error)}") from error


def _best(logits: np.ndarray) -> np.ndarray:
    """The likeliest token of each row (rows, vocabulary); what is not a number is the model's."""
    best = logits.argmax(axis=-1)
    if np.isnan(np.take_along_axis(logits, best[:, None], axis=-1)).any():
        raise UnusableError("decoder: computed what is not a number")
    return best


def _present(name: str) -> str:
    """The output that becomes the input `name` of the next step."""
    return name.replace("past_key_values.", "present.")


def _refused(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


set_model(Summarizer())
