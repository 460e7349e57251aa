"""Turn files of T5 into a registered model: fetch, try, record, register, promote."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PyFuncModel
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from common.asking import curl
from common.errors import BadInput, first_line
from common.promotion import CannotCompareError, Comparison, Gate
from common.release import pinned, release
from common.runs import record_parameters, recorded_run
from common.summary import summary
from hub import Files, fetch
from t5 import T5

HERE = Path(__file__).parent
REQUIREMENTS = pinned("onnxruntime", "tokenizers", "pandas", "numpy")
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", "text")]),
    outputs=Schema([ColSpec("string", "output")]),
    params=ParamSchema(
        [ParamSpec("task", "string", "summarize"), ParamSpec("max_length", "long", 100)]
    ),
)
TRIAL = {"task": "summarize", "max_length": 60}


@dataclass(frozen=True)
class Settings:
    """The entry point's parameters, as in MLproject."""

    source: str
    revision: str
    precision: str
    checksums: str
    model_name: str
    alias: str
    promote: str

    def files(self) -> dict[str, str]:
        """What the model is made of, as optimum names it: the file for each artifact of t5.py."""
        ending = ".onnx" if self.precision == "full" else "_quantized.onnx"
        return {
            "config": "config.json",
            "tokenizer": "tokenizer.json",
            "encoder": f"onnx/encoder_model{ending}",
            "decoder": f"onnx/decoder_model_merged{ending}",
        }


def register(settings: Settings) -> str:
    """Record, try, register and promote the model; returns a summary of what happened.

    Raises BadInput, the run being FAILED, for what the user can mend.
    """
    name, texts = settings.model_name, samples()
    with recorded_run() as run:
        record_parameters(run, asdict(settings))
        names = settings.files()
        files = fetch(settings.source, settings.revision, list(names.values()), settings.checksums)
        t5 = opened({artifact: str(files.paths[file]) for artifact, file in names.items()})
        model_uri = record(settings, files, texts)
        answers = tried(model_uri, texts, t5)
        tags = files.origin() | {"serving.batch": "on"}
        gate = Gate(name, settings.alias, comparing(name, texts))
        candidate, outcome = release(run, gate, model_uri, settings.promote, tags)
    ask = curl(name, texts.head(1), **TRIAL)
    return summary(run, gate, candidate, outcome, ask, answer=answers[0])


def samples() -> pd.DataFrame:
    """Short reports to try a model on: a column `text`."""
    lines = (HERE / "data" / "samples.txt").read_text(encoding="utf-8").splitlines()
    return pd.DataFrame({"text": lines})


def opened(artifacts: dict[str, str]) -> T5:
    """The model in the files, once it has answered; BadInput if they are none."""
    try:
        t5 = T5(**artifacts)
        t5.answers(["summarize: a text"], 2)
    except Exception as error:  # graphs that do not fit each other fail in ways of their own
        raise BadInput(f"source: {' '.join(str(error).split())[:300]}") from error
    return t5


def record(settings: Settings, files: Files, texts: pd.DataFrame) -> str:
    """Log the model and where it is from; returns the model's URI."""
    mlflow.set_tags(files.origin())
    mlflow.log_text(files.sums(), "SHA256SUMS")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: files.paths[file] for name, file in settings.files().items()}
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(HERE / "t5.py"),
            artifacts={name: without_link(path, folder) for name, path in paths.items()},
            signature=SIGNATURE,
            input_example=(texts.head(2), {"task": "summarize", "max_length": 20}),
            pip_requirements=REQUIREMENTS,
            metadata={**files.origin(), "sha256": files.sha256},
        )
    return logged.model_uri


def without_link(path: Path, folder: str) -> str:
    """The file, or a copy in the folder of what a link leads to: the hub's cache is made of links,
    and MLflow follows none that lead elsewhere."""
    return shutil.copy(path, folder) if path.is_symlink() else str(path)


def tried(model_uri: str, texts: pd.DataFrame, t5: T5) -> list[str]:
    """The recorded model's answers to the samples, and how fast it was, as metrics.

    Raises BadInput for a model that does not answer sensibly.
    """
    started = time.perf_counter()
    model = mlflow.pyfunc.load_model(model_uri)
    loaded = time.perf_counter()
    answers = asked(model, texts)
    seconds = time.perf_counter() - loaded
    if (sensible := count_sensible(texts, answers)) < len(texts):
        raise BadInput(
            f"source: the model answers {sensible} of {len(texts)} samples sensibly; the first it "
            f"answers {answers[0][:80]!r}"
        )
    tokens = sum(len(t5.tokenizer.encode(answer).ids) for answer in answers)
    metrics = {"load_seconds": loaded - started, "tokens_per_second": tokens / seconds}
    mlflow.log_metrics(metrics, model_id=model.model_id)
    return answers


def asked(model: PyFuncModel, texts: pd.DataFrame) -> list[str]:
    """The model's answers to the column `text`, in its order."""
    return model.predict(texts, params=TRIAL)["output"].tolist()


def count_sensible(texts: pd.DataFrame, answers: list[str]) -> int:
    """How many answers say something, in fewer words than their text."""
    pairs = zip(texts["text"], answers, strict=True)
    return sum(0 < len(answer.split()) < len(text.split()) for text, answer in pairs)


def comparing(name: str, texts: pd.DataFrame) -> Callable[[str, str], Comparison]:
    """What the gate asks: which of two versions answers more samples sensibly.

    There is nothing to tell a good summary from a bad one by; whoever has summaries of their own
    texts compares with those.
    """

    def compare(candidate: str, incumbent: str) -> Comparison:
        scores = []
        for each in (candidate, incumbent):
            try:
                model = mlflow.pyfunc.load_model(f"models:/{name}/{each}")
                scores.append(count_sensible(texts, asked(model, texts)))
            except Exception as error:  # a model is other people's code: it may raise anything
                raise CannotCompareError(
                    f"version {each} cannot be loaded or asked: {first_line(error)}"
                ) from error
        words = f"{scores[0]} against {scores[1]} of {len(texts)} samples answered sensibly"
        return Comparison.of(scores[0], scores[1], words)

    return compare
