"""A model of PyTorch and transformers, logged by MLflow's own flavor, served by the model server;
and the ONNX model of the project beside it, on the same weights.

Installing torch takes a minute or two, so it runs with FULL=1 or STACK_TORCH=1, and only where a
wheel for CPUs is at hand: the index would send gigabytes of CUDA.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from harness import tiny_t5
from harness.processes import clean_environment
from harness.serving import ModelServer
from host.paths import ROOT
from t5 import T5

TORCH = "torch==2.13.0"
OTHERS = (  # what torch and transformers import, beside what this Python has already
    "transformers==4.57.6",  # the last that has pipelines from text to text
    "huggingface-hub==0.36.2",
    "tokenizers==0.22.2",
    "safetensors==0.8.0",
    "regex==2026.11.19",
    "sympy==1.14.0",
    "mpmath==1.3.0",
    "networkx==3.6.1",
)
TOKENS = 12
TEXTS = [  # whole: the project's model cuts off what is longer than the model takes
    text
    for text in (f"summarize: {sentence}" for sentence in tiny_t5.SENTENCES[1:])
    if len(tiny_t5.tokenizer().encode(text)) <= tiny_t5.CONFIG["n_positions"]
]

pytestmark = [
    pytest.mark.skipif(
        "1" not in (os.environ.get("FULL"), os.environ.get("STACK_TORCH")),
        reason="THE TORCH FLAVOR IS NOT TESTED: installing torch takes minutes; STACK_TORCH=1 does",
    ),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has torch and transformers, and the packages of this one."""
    folder = tmp_path_factory.mktemp("torch") / "venv"
    venv.create(folder, with_pip=True)
    made = folder / "bin" / "python"
    local = [made, "-m", "pip", "install", "-q", "--no-index", "--no-deps", TORCH]
    done = subprocess.run(local, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no wheel of {TORCH} for CPUs at hand: {done.stderr.strip().splitlines()[-1]}")
    uv = Path(sys.executable).with_name("uv")
    others = [uv, "pip", "install", "-q", "--no-deps", "--python", made, *OTHERS]
    subprocess.run(others, check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "below.pth").write_text(sysconfig.get_path("purelib"))
    return made


@pytest.fixture(scope="module")
def answers(python, local_tracking):
    """Answers of transformers itself, once the model is registered."""
    environment = clean_environment(MLFLOW_TRACKING_URI=local_tracking.uri, HF_HUB_OFFLINE="1")
    command = [
        python,
        "-m",
        "tests.integration.projects.huggingface.torch_t5",
        "torch-t5",
        str(TOKENS),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_model_server_answers_as_the_pipeline_does(
    python, answers, local_tracking, tmp_path_factory
):
    server = ModelServer(
        tmp_path_factory.mktemp("serving"),
        MLFLOW_TRACKING_URI=local_tracking.uri,
        SERVING_MODELS="torch-t5",
        SERVING_ENVIRONMENTS="off",
    )
    server.process.command[0] = str(python)
    try:
        server.start()
        answer, shorter = (
            server.ask({"inputs": TEXTS, "params": {"max_new_tokens": most}}, "torch-t5")
            for most in (TOKENS, 2)
        )
    finally:
        server.stop()

    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == answers
    assert len(set(answers)) > 1
    assert shorter.json()["predictions"] != answers


def test_the_projects_onnx_model_answers_as_transformers_does(answers, tmp_path):
    folder = tiny_t5.build(tmp_path)
    t5 = T5(
        config=str(folder / "config.json"),
        tokenizer=str(folder / "tokenizer.json"),
        encoder=str(folder / "onnx" / "encoder_model.onnx"),
        decoder=str(folder / "onnx" / "decoder_model_merged.onnx"),
    )

    assert t5.answers(TEXTS, TOKENS) == answers
