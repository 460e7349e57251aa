"""Models that the server's own environment does not fit, built by a real uv from the index."""

import base64
import functools
import http.server
import importlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import scipy
import yaml
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from harness.serving import ModelServer
from host.paths import ROOT
from tests.integration.serving.models import act, wine_request

OLDER = "1.8.0"
"""A scikit-learn one minor version before the server's, with wheels for the same Pythons."""
REQUIREMENTS = (f"scikit-learn=={OLDER}", "skops==0.16.0", "roman==5.2")
BUILT_WITHIN = 180
YEAR = {"dataframe_split": {"columns": ["year"], "data": [[1999]]}}

TRAIN = """
import sys
import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
data, target = load_wine(as_frame=True, return_X_y=True)
model = LogisticRegression(max_iter=10).fit(data, target)
example, requirements = data.head(1), sys.argv[2:]
mlflow.sklearn.save_model(model, sys.argv[1], input_example=example, pip_requirements=requirements)
print(model.predict(data.head(5)).tolist())
"""


@pytest.fixture(scope="module")
def roman_here(tmp_path_factory):
    """The package `roman` in a folder of its own: models that need it cannot be saved without."""
    folder = tmp_path_factory.mktemp("roman")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", folder, "roman==5.2"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("roman")
    del sys.modules["roman"]


@pytest.fixture(scope="module")
def roman(roman_here, tmp_path_factory):  # noqa: ARG001 - MLflow runs the model's code
    """A model from code that needs an older scikit-learn and a package which is not here."""
    folder = tmp_path_factory.mktemp("models") / "roman"
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(Path(__file__).with_name("roman_years.py")),
        signature=ModelSignature(inputs=Schema([ColSpec("long", "year")])),
        input_example=pd.DataFrame({"year": [2024]}),
        pip_requirements=list(REQUIREMENTS),
    )
    return folder


@pytest.fixture(scope="module")
def numerals(roman_here, tmp_path_factory):
    """A scikit-learn model, of the version that is here, with a step of that package's."""
    folder = tmp_path_factory.mktemp("models") / "numerals"
    years = pd.DataFrame({"year": ["MCMXLV", "MM"]})
    read = FunctionTransformer(np.vectorize(roman_here.fromRoman))
    model = make_pipeline(read, LinearRegression()).fit(years, [1945, 2000])
    mlflow.sklearn.save_model(
        model,
        folder,
        serialization_format="pickle",
        input_example=years,
        pip_requirements=["scikit-learn", "roman"],
    )
    return folder


def requiring(source: Path, folder: Path, *requirements: str, **function: str) -> Path:
    """A copy with other requirements, and other facts about the function in its MLmodel."""
    shutil.copytree(source, folder)
    (folder / "requirements.txt").write_text("\n".join(requirements))
    description = yaml.safe_load((folder / "MLmodel").read_text())
    description["flavors"]["python_function"] |= function
    (folder / "MLmodel").write_text(yaml.safe_dump(description))
    return folder


class Anything(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002
        return model_input


PRIVATE = """
import mlflow

class Private(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import helper_of_ours, matplotlib, tiny_of_ours
        return [helper_of_ours.greet(tiny_of_ours.WORD)] * len(model_input)

mlflow.models.set_model(Private())
"""
LOGIN = "user:secret"


class Index(http.server.SimpleHTTPRequestHandler):
    """A simple index for those with the login."""

    def do_GET(self):
        login = self.headers.get("authorization", "").removeprefix("Basic ")
        if base64.b64decode(login).decode() == LOGIN:
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The address of an index that has tiny-of-ours 1.0, and nothing else."""
    folder = tmp_path_factory.mktemp("index")
    wheel = folder / "tiny-of-ours" / "tiny_of_ours-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    about = "tiny_of_ours-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_of_ours.py", "WORD = 'world'")
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-of-ours\nVersion: 1.0"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        archive.writestr(f"{about}/RECORD", "")
    handler = functools.partial(Index, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A model whose package is in that index, and whose helper module is in PYTHONPATH alone."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "helpers").mkdir()
    (folder / "helpers" / "helper_of_ours.py").write_text("greet = 'Hello, {}!'.format")
    (folder / "private.py").write_text(PRIVATE)
    mlflow.pyfunc.save_model(
        folder / "model",
        python_model=str(folder / "private.py"),
        pip_requirements=["mlflow", "tiny-of-ours==1.0"],
    )
    return folder


@pytest.fixture(scope="module")
def server(models, roman, private, index, tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    unknown = requiring(models.chameleon, folder / "unknown", "no-such-package-of-ours==1.0")
    pickled = folder / "pickled"
    mlflow.pyfunc.save_model(pickled, python_model=Anything(), pip_requirements=["pandas"])
    (pickled / "code").write_bytes(b"\x80 CodeType")  # a class of `__main__` would be in there
    later = requiring(pickled, folder / "later", "pandas", python_version="3.99.1")
    here = requiring(models.chameleon, folder / "here", "no-such-package-of-ours==1.0")
    with (here / "MLmodel").open("a") as description:
        description.write("\nmetadata: {serving.environment: here}\n")
    server = ModelServer(
        folder,
        SERVING_MODELS=f"roman={roman},twin={roman},wine={models.wine},"
        f"unknown={unknown},later={later},here={here},private={private / 'model'}",
        UV_INDEX=f"http://{LOGIN}@{index}",
        UV_INDEX_OURS_PASSWORD="not for workers",
        PYTHONPATH=os.pathsep.join([str(ROOT / "services" / "serving"), str(private / "helpers")]),
    )
    server.process.start()
    yield server
    server.stop()


def wait_for_state(server, name, state, timeout=BUILT_WITHIN) -> dict:
    server.wait_for(lambda: server.model(name).get("state") == state, timeout, f"{name} {state}")
    return server.model(name)


def builds(server) -> int:
    return len(server.log_lines("building an environment"))


def test_model_is_served_in_an_environment_of_its_own(server):
    seen = set()

    def is_served():
        seen.update(server.model(name).get("progress") for name in ("roman", "twin"))
        return server.model("roman").get("state") == "serving"

    server.wait_for(is_served, BUILT_WITHIN, "the environment and the model in it")
    assert any("packages" in progress for progress in seen if progress), seen
    answer = server.ask(YEAR, "roman")
    assert answer.json() == {"predictions": [f"MCMXCIX by scikit-learn {OLDER}"]}
    entry = server.model("roman")
    assert f"scikit-learn {OLDER} (here " in entry["environment"]
    assert "roman 5.2 (not here)" in entry["environment"]
    assert entry["progress"] is None
    (built,) = [
        line for line in server.log_lines("environment built") if "roman" in line["because"]
    ]
    assert built["seconds"] > 0


def test_equal_requirements_share_one(server):
    wait_for_state(server, "twin", "serving")
    assert server.ask(YEAR, "twin").status_code == 200
    (line,) = [
        line for line in server.log_lines("building an environment") if "roman" in line["because"]
    ]
    assert (server.process.log.parent / "cache" / "environments" / line["environment"]).is_dir()


def test_model_that_fits_has_none(server):
    entry = wait_for_state(server, "wine", "serving")
    assert entry["environment"] is None
    assert server.ask(wine_request(), "wine").status_code == 200


def test_requirement_that_does_not_exist_is_refused(server):
    problem = wait_for_state(server, "unknown", "failed")["problem"]
    assert "no-such-package-of-ours 1.0 (not here)" in problem
    assert "was not found in the package registry" in problem
    assert "/" not in problem


def test_model_is_tried_with_what_is_here_where_its_author_says_so(server):
    entry = wait_for_state(server, "here", "serving")
    tried = "tried with what is here, in spite of no-such-package-of-ours 1.0 (not here)"
    assert tried in entry["warnings"]
    assert entry["environment"] is None
    assert server.ask(act("answer"), "here").status_code == 200


def test_own_environment_has_the_users_modules_what_mlflow_brings_and_reads_parquet(server):
    entry = wait_for_state(server, "private", "serving")
    assert entry["environment"] == "tiny-of-ours 1.0 (not here)"
    rows = pd.DataFrame({"a": [1, 2]})
    parquet = "application/vnd.apache.parquet"
    path, headers = "/models/private/invocations", {"content-type": parquet}
    for answer in (
        server.ask({"dataframe_split": rows.to_dict("split")}, "private"),
        server.http.post(path, content=rows.to_parquet(), headers=headers),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": ["Hello, world!"] * 2}


def test_index_of_each_package_is_shown_without_its_login(server, index):
    wait_for_state(server, "private", "serving")
    packages = {one["name"]: one for one in server.model("private")["packages"]}
    assert packages["tiny-of-ours"] == {
        "name": "tiny-of-ours",
        "version": "1.0",
        "index": f"http://{index}",
    }
    assert packages["pandas"]["version"]
    assert packages["pandas"]["index"] not in (None, f"http://{index}")
    assert "secret" not in server.http.get("/models").text


def test_code_pickled_by_another_python_is_refused_where_that_is_not_to_be_had(server):
    problem = wait_for_state(server, "later", "failed")["problem"]
    assert "code pickled by Python 3.99 (here 3." in problem
    assert "cannot be built: Python 3.99: No interpreter found for Python 3.99" in problem


def test_worker_of_another_interpreter_is_watched_like_any(server):
    (worker,) = wait_for_state(server, "roman", "serving")["workers"]
    assert psutil.Process(worker).environ().get("UV_INDEX_OURS_PASSWORD") is None
    assert os.getpgid(worker) == worker
    psutil.Process(worker).kill()
    server.wait_for(
        lambda: server.model("roman")["workers"] not in ([], [worker]), 90, "a new worker"
    )
    assert server.ask(YEAR, "roman").status_code == 200
    assert all(line.startswith("{") for line in server.process.text().splitlines())


def test_restart_builds_nothing_anew(server, roman, tmp_path):
    """A model that was trained in just this environment needs no other either."""
    wait_for_state(server, "roman", "serving")
    folder = server.process.log.parent
    built = server.log_lines("environment built")
    (environment,) = [line["environment"] for line in built if "roman" in line["because"]]
    python = folder / "cache" / "environments" / environment / "bin" / "python"
    trained = subprocess.run(
        [python, "-I", "-c", TRAIN, tmp_path / "trained", *REQUIREMENTS],
        env={"MLFLOW_TRACKING_URI": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    assert server.stop() == 0
    again = ModelServer(
        tmp_path,
        SERVING_CACHE=folder / "cache",
        SERVING_MODELS=f"roman={roman},trained={tmp_path / 'trained'}",
    )
    with again.process:
        again.wait_for(again.is_ready, BUILT_WITHIN, "both models")
        assert again.ask(YEAR, "roman").status_code == 200
        answer = again.ask(wine_request(5), "trained")
        assert answer.json()["predictions"] == json.loads(trained.stdout)
        assert again.model("trained")["environment"].startswith(f"scikit-learn {OLDER} (here ")
        assert builds(again) == 0
        family = again.family()
        psutil.Process(again.process.pid).kill()
        assert not psutil.wait_procs(family, timeout=20)[1], "outlived the server"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"SERVING_ENVIRONMENTS": "off"}, "SERVING_ENVIRONMENTS is off"),
        ({"UV_OFFLINE": "1", "UV_CACHE_DIR": "empty"}, "cannot be built: Python 3."),
        ({"SERVING_BUILD_TIMEOUT": "0.01"}, "cannot be built: not done after 0.01 s"),
    ],
)
def test_version_is_refused_where_no_environment_can_be_had(roman, tmp_path, settings, reason):
    if "UV_CACHE_DIR" in settings:
        settings = settings | {"UV_CACHE_DIR": str(tmp_path / "empty")}
    server = ModelServer(tmp_path, SERVING_MODELS=f"roman={roman}", **settings)
    with server.process:
        problem = wait_for_state(server, "roman", "failed")["problem"]
        assert problem.startswith("it needs an environment of its own for roman 5.2 (not here), ")
        assert reason in problem
        assert not [process for process in server.family() if process.name() == "uv"]


def test_model_that_lacks_a_module_when_it_is_loaded_gets_what_can_be_had(numerals, tmp_path):
    """Its flavor's packages are here; what else it stands on shows only then."""
    labelled = f"scipy=={scipy.__version__}+ours"
    lacking = ("scikit-learn", "roman", "no-such-package-of-ours==1.0", "-e .", labelled)
    folder = requiring(numerals, tmp_path / "numerals", *lacking)
    server = ModelServer(tmp_path, SERVING_MODELS=f"numerals={folder}")
    with server.process:
        entry = wait_for_state(server, "numerals", "serving")
        assert entry["environment"] == "no-such-package-of-ours 1.0 (not here), roman (not here)"
        answer = server.ask({"dataframe_records": [{"year": "MCMXCIX"}]}, "numerals")
        assert answer.json()["predictions"] == pytest.approx([1999])
        assert entry["warnings"][:2] == [
            f"scipy=={scipy.__version__} is installed: no index has {labelled}",
            "requirements that cannot be had and are left out: no-such-package-of-ours==1.0, -e .",
        ]


def test_old_version_serves_while_the_new_ones_environment_is_built(
    shelf, local_tracking, models, roman, tmp_path
):
    """Requirements that no other test has, so that there is something to build."""
    new = requiring(roman, tmp_path / "new", *REQUIREMENTS, "inflection==0.5.1")
    shelf.promote("roads", shelf.publish("roads", models.chameleon))
    server = ModelServer(tmp_path, MLFLOW_TRACKING_URI=local_tracking.uri, SERVING_MODELS="roads")
    with server.process:
        wait_for_state(server, "roads", "serving")
        shelf.promote("roads", shelf.publish("roads", new))
        answered = []

        def is_swapped():
            entry = server.model("roads")
            answer = server.ask(YEAR if entry["version"] == "2" else act("answer"), "roads")
            if answer.headers["x-model-version"] == entry["version"]:  # else it was swapped between
                answered.append((answer.status_code, entry["progress"] is not None))
            return entry["version"] == "2"

        server.wait_for(is_swapped, BUILT_WITHIN, "the new version")
        assert {status for status, _ in answered} == {200}
        assert (200, True) in answered, "never asked while it was built"
        assert server.ask(YEAR, "roads").headers["x-model-version"] == "2"
