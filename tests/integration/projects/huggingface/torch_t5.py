"""Run by a Python that has torch: log the tiny T5 by MLflow's transformers flavor, with the alias
`champion`, and print what transformers itself answers, as JSON.

    MLFLOW_TRACKING_URI=... \\
    python -m tests.integration.projects.huggingface.torch_t5 NAME TOKENS < TEXTS
"""

import json
import sys
from importlib.metadata import version

import mlflow
import torch
from mlflow.models import infer_signature
from transformers import (
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    Text2TextGenerationPipeline,
    pipeline,
)

from harness import tiny_t5

TIED = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}


def tiny() -> Text2TextGenerationPipeline:
    """The same weights and tokenizer that harness/tiny_t5.py writes as ONNX."""
    model = T5ForConditionalGeneration(T5Config(**tiny_t5.CONFIG))
    weights = {name: torch.from_numpy(array) for name, array in tiny_t5.weights().items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert set(missing) <= TIED, missing
    assert not unexpected, unexpected
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_t5.tokenizer(),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    return pipeline("text2text-generation", model=model.eval(), tokenizer=tokenizer, device="cpu")


def main(name: str, tokens: int) -> None:
    """Log the model as `name`; print its answers of so many tokens at most to texts from stdin."""
    texts = json.load(sys.stdin)
    params = {"max_new_tokens": tokens, "num_beams": 1}  # greedy: the pipeline's own are 4
    t5 = tiny()
    answers = [answer["generated_text"] for answer in t5(texts, **params)]
    packages = ("transformers", "torch", "tokenizers")
    logged = mlflow.transformers.log_model(
        t5,
        name="model",
        signature=infer_signature(texts[:1], answers[:1], params),
        input_example=(texts[:1], params),
        pip_requirements=[f"{package}=={version(package)}" for package in packages],
    )
    registered = mlflow.register_model(logged.model_uri, name)
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", registered.version)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
