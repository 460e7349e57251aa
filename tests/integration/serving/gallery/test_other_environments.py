"""Models that need other packages, or that other releases of MLflow saved: made in environments of
their own, served here in those that the server builds, asked here and by `mlflow models serve`.

With FULL=1: making and building the environments takes minutes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.processes import clean_environment
from tests.integration.serving.gallery import catalogue, questions
from tests.integration.serving.gallery.asking import Servers, served
from tests.integration.serving.reference.variations import Requests

MAKERS = Path(__file__).with_name("makers")
UV = Path(sys.executable).with_name("uv")
SERVES = "mlflow==3.17.2"
"""The reference."""
BUILT_WITHIN = 900
"""Seconds, all environments of one maker's models."""

pytestmark = [
    pytest.mark.skipif(os.environ.get("FULL") != "1", reason="with FULL=1: takes minutes"),
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True)
class Maker:
    """What makes models, and where."""

    script: str
    mlflow: str
    packages: tuple[str, ...]
    models: tuple[str, ...]
    python: str = "3.11"
    variables: Mapping[str, str] = field(default_factory=dict)
    """Needed by it, and by whoever serves its models."""


OLDER = ("forest", "table", "pickled")
MAKERS_OF = {
    "mlflow-1.30": Maker(
        "older",
        "mlflow==1.30.1",
        ("scikit-learn==1.1.3", "pandas==1.5.3", "numpy==1.23.5", "setuptools<80"),
        OLDER,
        "3.10",
    ),
    "mlflow-2.9": Maker(
        "older",
        "mlflow==2.9.2",
        ("scikit-learn==1.3.2", "pandas==2.1.4", "numpy==1.26.4", "setuptools<80"),
        OLDER,
    ),
    "mlflow-2.22": Maker("older", "mlflow==2.22.0", ("scikit-learn==1.6.1", "numpy<2.3"), OLDER),
    "mlflow-3.1": Maker("older", "mlflow==3.1.0", ("scikit-learn==1.6.1", "numpy<2.3"), OLDER),
    "boosters": Maker(
        "boosters",
        SERVES,
        ("catboost", "xgboost-cpu", "lightgbm==4.6.0"),
        ("catboost-words", "catboost", "catboost-step", "xgboost", "lightgbm"),
    ),
    "statistics": Maker(
        "statistical",
        SERVES,
        ("statsmodels", "polars", "skl2onnx", "onnxruntime"),
        ("least-squares", "gamma", "arima", "skl2onnx", "polars"),
    ),
    "encoders": Maker(
        "encoders",
        SERVES,
        ("category-encoders", "imbalanced-learn"),
        (
            "encoded-by-target",
            "encoded-one-hot",
            "encoded-by-evidence",
            "encoded-by-count",
            "encoded-by-hash",
            "over-sampled",
        ),
    ),
    "frames": Maker(
        "frames",
        SERVES,
        ("polars", "pandas==2.3.3"),
        ("polars-sums", "polars-lazy", "polars-shares", "pandas-joined", "pandas-ranked"),
    ),
    "pytorch": Maker(
        "pytorch",
        SERVES,
        ("torch==2.13.0+cpu",),  # which the index has not: it would send gigabytes of CUDA
        ("torch-exported", "torch-pickled", "torch-scripted", "torch-series", "torch-frames"),
    ),
    "keras-jax": Maker(
        "keras_models",
        SERVES,
        ("keras", "jax"),
        ("keras-jax", "keras-jax-series", "keras-jax-unsigned"),
        variables={"KERAS_BACKEND": "jax"},
    ),
    "tensorflow": Maker(
        "keras_models",
        SERVES,
        ("keras", "tensorflow-cpu==2.21.0"),
        (
            "keras-tensorflow",
            "keras-tensorflow-series",
            "keras-tensorflow-unsigned",
            "tensorflow",
            "tensorflow-series",
        ),
    ),
}
MODELS = [(maker, model) for maker, made in MAKERS_OF.items() for model in made.models]

KNOWN = {
    "keras-jax-unsigned": "Keras on JAX answers nothing after a request of another shape, "
    "for a while, in both servers",
}
"""What differs, and why it stays so: in docs/differences.md, too."""


@dataclass(frozen=True)
class Made:
    """A maker's models, or why there are none."""

    folder: Path
    servers: Servers | None = None
    problem: str = ""
    is_installed: bool = True

    def problem_of(self, model: str) -> str:
        file = self.folder / f"{model}.problem"
        return self.problem or (f"not made: {file.read_text()}" if file.exists() else "")

    def requests(self, model: str) -> Requests:
        rows = json.loads((self.folder / f"{model}.json").read_text())
        return questions.of_rows(rows) if isinstance(rows[0], dict) else questions.of_tensor(rows)


@contextlib.contextmanager
def making(name: str, root: Path) -> Iterator[Made]:
    maker, models = MAKERS_OF[name], root / "models"
    models.mkdir()
    try:
        python = install(maker.python, root / "maker", [maker.mlflow, *maker.packages])
        serving = python
        if maker.mlflow != SERVES:  # with all else as it was
            serving = install(maker.python, root / "reference", [SERVES, *maker.packages])
    except subprocess.CalledProcessError as error:
        problem = f"cannot be installed here: {last_words(error)}"
        yield Made(models, problem=problem, is_installed=False)
        return
    try:
        make(maker, python, models)
    except subprocess.CalledProcessError as error:
        yield Made(models, problem=f"not made: {last_words(error)}")
        return
    folders = {name: models / name for name in maker.models if (models / f"{name}.json").exists()}
    with served(folders, root, BUILT_WITHIN, serving, maker.variables) as servers:
        yield Made(models, servers)
    shutil.rmtree(root)


def install(python: str, folder: Path, packages: list[str]) -> Path:
    """An interpreter with these packages. Raises CalledProcessError."""
    variables = dict(os.environ)
    if links := variables.get("PIP_FIND_LINKS"):  # which uv knows by another name
        variables["UV_FIND_LINKS"] = links
    for command in (
        ["venv", "--quiet", "--python", python, folder],
        ["pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages],
    ):
        subprocess.run([UV, *command], env=variables, capture_output=True, text=True, check=True)
    return folder / "bin" / "python"


def make(maker: Maker, python: Path, models: Path) -> None:
    """Raises CalledProcessError where the maker itself fails; where one model, see saved.py."""
    runs = models.with_name("runs")
    subprocess.run(
        [python, MAKERS / f"{maker.script}.py", models],
        cwd=models.parent,
        env=clean_environment(PYTHONPATH="", MLFLOW_TRACKING_URI=str(runs), **maker.variables),
        capture_output=True,
        text=True,
        check=True,
    )


def last_words(error: subprocess.CalledProcessError) -> str:
    return " ".join(error.stderr.split())[-300:]


@pytest.fixture(scope="module")
def made_by(tmp_path_factory):
    """What the maker of a name has made: those of one maker at a time."""
    with contextlib.ExitStack() as current:
        made = {}

        def get(name: str) -> Made:
            if name not in made:
                current.close()
                made.clear()
                made[name] = current.enter_context(making(name, tmp_path_factory.mktemp(name)))
            return made[name]

        yield get


@pytest.mark.parametrize(("maker", "model"), MODELS, ids=["-".join(one) for one in MODELS])
def test_same_answers(maker, model, made_by):
    made = made_by(maker)
    if problem := made.problem_of(model):
        catalogue.write(catalogue.Entry(model, maker, answers=problem))
        pytest.fail(problem) if made.is_installed else pytest.skip(problem)
    row, noticed = made.servers.compare(model, maker, made.folder / model, made.requests(model))
    if noticed and model in KNOWN:
        catalogue.write(dataclasses.replace(row, answers=f"differ: {KNOWN[model]}"))
        pytest.xfail(KNOWN[model])
    catalogue.write(row)
    assert not noticed, noticed
