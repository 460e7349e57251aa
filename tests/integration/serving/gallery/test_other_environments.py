"""Models that need other packages, or that other releases of MLflow saved: made in environments of
their own, served here in those that the server builds, asked here and by `mlflow models serve`.

With FULL=1: making and building the environments takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.serving.gallery import catalogue, questions
from tests.integration.serving.gallery.asking import differences
from tests.integration.serving.gallery.test_gallery import decided
from tests.integration.serving.reference.comparison import Address
from tests.integration.serving.reference.servers import Reference
from tests.integration.serving.servers import ModelServer
from tests.support import clean_environment

MAKERS = Path(__file__).with_name("makers")
UV = Path(sys.executable).with_name("uv")
SERVES = "mlflow==3.17.2"
"""The reference."""
BUILT_WITHIN = 900
"""Seconds, all environments."""

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
        "statistics",
        SERVES,
        ("statsmodels", "polars", "skl2onnx", "onnxruntime"),
        ("least-squares", "gamma", "arima", "skl2onnx", "polars"),
    ),
}
MODELS = [(maker, model) for maker, made in MAKERS_OF.items() for model in made.models]


def install(python: str, folder: Path, packages: list[str]) -> Path:
    """Skips with the installer's reason."""
    for command in (
        [UV, "venv", "--quiet", "--python", python, folder],
        [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot be installed here: {done.stderr.strip()[-300:]}")
    return folder / "bin" / "python"


@pytest.fixture(scope="module", params=MAKERS_OF)
def made(request, tmp_path_factory):
    """A maker's models, and the server and the reference that serve them."""
    maker, root = MAKERS_OF[request.param], tmp_path_factory.mktemp(request.param)
    python = install(maker.python, root / "maker", [maker.mlflow, *maker.packages])
    (root / "models").mkdir()
    subprocess.run(
        [python, MAKERS / f"{maker.script}.py", root / "models"],
        check=True,
        cwd=root,
        env=clean_environment(PYTHONPATH="", MLFLOW_TRACKING_URI=str(root / "runs")),
    )
    if maker.mlflow != SERVES:  # with all else as it was
        python = install(maker.python, root / "reference", [SERVES, *maker.packages])
    folders = {name: root / "models" / name for name in maker.models}
    ours = ModelServer(
        root / "ours", SERVING_MODELS=",".join(f"{n}={folder}" for n, folder in folders.items())
    )
    reference = Reference(folders, set(), root, python)
    try:
        ours.process.start()
        reference.start()
        ours.wait_for(
            lambda: all(decided(ours.model(name)) for name in folders), BUILT_WITHIN, "models"
        )
        yield request.param, folders, reference.addresses, ours
    finally:
        ours.stop()
        reference.stop()
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def entries():
    made = []
    yield made
    catalogue.write(made)


def seconds(ours: ModelServer, model: str) -> str:
    """What its environment took, by the log."""
    needed = ours.model(model)["environment"]
    built = [line for line in ours.log_lines("environment built") if line["because"] == needed]
    return f"own, {built[0]['seconds']:.0f} s" if built else "own"


@pytest.mark.parametrize(
    ("made", "model"), MODELS, indirect=["made"], ids=["-".join(one) for one in MODELS]
)
def test_same_answers(made, model, entries):
    maker, folders, reference, ours = made
    rows = json.loads(folders[model].with_suffix(".json").read_text())
    requests, entry = questions.of_rows(rows), ours.model(model)
    different = ["not served"]
    if entry["state"] == "serving":
        here = Address(ours.port, f"/models/{model}/invocations")
        different = differences(reference[model], here, requests)
    entries.append(
        catalogue.Entry(
            model,
            maker,
            catalogue.flavor(folders[model]),
            seconds(ours, model) if entry["environment"] else "the server's",
            catalogue.merged(entry),
            len(requests),
            f"{len(different)} differ" if different else "same",
        )
    )
    assert entry["state"] == "serving", entry["problem"]
    assert not different, f"{len(different)} differ:\n" + "\n".join(different[:20])
