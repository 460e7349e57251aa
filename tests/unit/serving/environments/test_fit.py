"""When a model needs an environment of its own, and what is put into it."""

import importlib.metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from model_server.environments.fit import FULL, VERSION, WORKER, installed, judge
from model_server.environments.needs import Needs

PYTHON = (3, 13)
HERE = {
    "cloudpickle": "3.1.2",
    "numpy": "2.4.6",
    "onnx": "1.23.2",
    "onnxruntime": "1.32.0",
    "pandas": "3.1.1",
    "requests": "2.34.2",
    "scikit-learn": "1.9.1",
    "skops": "0.16.0",
    "xgboost": "3.2.0",
}


def sklearn(*requirements: str, noted: str | None = "1.9.1", serializer: str = "skops", **more):
    return Needs(
        flavor="sklearn",
        loads_with={"scikit-learn": noted, serializer: None},
        requirements=tuple(map(Requirement, requirements)),
        python=PYTHON,
        **more,
    )


def code(*requirements: str, **more):
    return Needs(requirements=tuple(map(Requirement, requirements)), python=PYTHON, **more)


def reasons(needs: Needs) -> list[str]:
    return judge(needs, HERE, PYTHON).reasons


@pytest.mark.parametrize(
    "needs",
    [
        sklearn(),
        sklearn("scikit-learn==1.9.1", "skops==0.16.0"),
        sklearn("Scikit_Learn==1.9.0", noted="1.9.0"),
        sklearn("scikit-learn>=1.5"),
        sklearn("mlflow==2.9.0", "numpy==1.26.4", "pandas==2.2.0", "psutil==5.9"),
        sklearn("matplotlib==3.11.2"),
        sklearn("requests==1.0"),
        sklearn(noted=None),
        sklearn("scikit-learn==1.9.*"),
        code(),
        code("mlflow", "pandas", "requests==2.34.0"),
        code("numpy==2.0.1", "pandas>=2,<4"),
        code("numpy==2.4.6+local"),
        code("mlflow==1.0", "psutil==1.0"),
        code("numpy==2.4.6+cpu"),
        code(lines=("requests @ https://example.org/requests-2.34.1-py3-none-any.whl",)),
        code(lines=("git+https://example.org/psf/requests.git@main",)),
        code(lines=("./requests-2.34.2-py3-none-any.whl", "requests==2.34.2 --hash=sha256:0")),
        Needs("xgboost", {"xgboost": "3.2.0"}, (Requirement("xgboost-cpu==3.2.0"),)),
        Needs("onnx", {"onnx": "1.23.0", "onnxruntime": None}, python=(3, 8)),
    ],
    ids=lambda needs: f"{needs.flavor} {' '.join(map(str, needs.requirements))}",
)
def test_fits(needs):
    assert reasons(needs) == []


@pytest.mark.parametrize(
    ("needs", "reason"),
    [
        (sklearn(noted="1.8.0"), "scikit-learn 1.8.0 (here 1.9.1)"),
        (sklearn("scikit-learn==1.8.0", noted="1.8.0"), "scikit-learn 1.8.0 (here 1.9.1)"),
        (sklearn("scikit-learn==0.24.2", noted="0.24.2"), "scikit-learn 0.24.2 (here 1.9.1)"),
        (sklearn("scikit-learn", noted="1.8.0"), "scikit-learn 1.8.0 (here 1.9.1)"),
        (sklearn("scikit-learn<1.9", noted=None), "scikit-learn<1.9 (here 1.9.1)"),
        (sklearn("scikit-learn==1.8.*", noted=None), "scikit-learn 1.8.* (here 1.9.1)"),
        (sklearn("skops==0.15.0"), "skops 0.15.0 (here 0.16.0)"),
        (sklearn("cloudpickle==2.2.1", serializer="cloudpickle"), "cloudpickle 2.2.1 (here 3.1.2)"),
        (Needs("xgboost", {"xgboost": "3.0.0"}), "xgboost 3.0.0 (here 3.2.0)"),
        (Needs("lightgbm", {"lightgbm": "4.7.0"}), "lightgbm 4.7.0 (not here)"),
        (Needs("onnx", {"onnx": "1.22.0"}), "onnx 1.22.0 (here 1.23.2)"),
        (Needs("transformers", requirements=(Requirement("torch"),)), "torch (not here)"),
        (code("tiny"), "tiny (not here)"),
        (code("tiny==1.0"), "tiny 1.0 (not here)"),
        (code("requests==2.33.0"), "requests 2.33.0 (here 2.34.2)"),
        (code("requests>=3"), "requests>=3 (here 2.34.2)"),
        (code("pandas==2.3.3"), "pandas 2.3.3 (here 3.1.1)"),
        (code(lines=("wheels/own.whl", "-c c.txt")), "wheels/own.whl"),
        (code(lines=("tiny @ https://me:secret@example.org/tiny-1.whl",)), "tiny (not here)"),
        (code(lines=("./requests-2.33.0.tar.gz",)), "requests 2.33.0 (here 2.34.2)"),
        (code(lines=("https://me:secret@example.org/a",)), "https://example.org/a"),
        (code(loads_with={"cloudpickle": "2.2.1"}), "cloudpickle 2.2.1 (here 3.1.2)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_does_not_fit(needs, reason):
    assert reasons(needs) == [reason]


@pytest.mark.parametrize(
    ("holds_code", "python", "expected"),
    [
        (True, (3, 12), ["code pickled by Python 3.12 (here 3.13)"]),
        (True, PYTHON, []),
        (True, None, []),
        (False, (3, 12), []),
    ],
)
def test_pickled_code_needs_its_python(holds_code, python, expected):
    needs = Needs(python=python, holds_code=holds_code)
    assert reasons(needs) == expected


def test_smaller_differences_are_one_warning():
    needs = sklearn("scikit-learn==1.9.0", "numpy==2.3.0", "pandas==3.1.1", noted="1.9.0")
    assert judge(needs, HERE, PYTHON).warnings == [
        "made with other versions: numpy 2.3.0 (here 2.4.6), scikit-learn 1.9.0 (here 1.9.1)"
    ]


def test_what_a_flavor_may_do_without_is_a_warning_and_known():
    fit = judge(sklearn("matplotlib==3.11.2"), HERE, PYTHON)
    assert fit.warnings == ["requirements that are not installed: matplotlib 3.11.2 (not here)"]
    assert fit.missing == ["matplotlib 3.11.2 (not here)"]


@pytest.mark.parametrize(("mlflow", "count"), [("99.0.0", 1), (VERSION, 0), ("1.2", 0), ("x", 0)])
def test_newer_mlflow_is_a_warning(mlflow, count):
    assert len(judge(Needs(mlflow=mlflow), HERE, PYTHON).warnings) == count


def lines(needs: Needs) -> list[str]:
    return judge(needs, HERE, PYTHON).recipe.lines


def test_recipe_has_the_servers_mlflow_and_what_workers_need():
    needs = sklearn("mlflow-skinny==2.9.0", "scikit-learn", "tiny[extra]>=1", noted="1.8.0")
    recipe = judge(needs, HERE, PYTHON).recipe
    assert recipe.lines == sorted(
        [f"mlflow-skinny=={VERSION}", "scikit-learn==1.8.0", "skops", "tiny[extra]>=1", *WORKER]
    )
    assert recipe.pythons == ["3.13"]
    assert recipe.optional == ["tiny[extra]>=1"]


def test_mlflow_brings_what_its_full_package_does():
    brought = {f"{name}{bound}" for name, bound in FULL.items()}
    assert brought <= set(lines(Needs("xgboost", {}, (Requirement("mlflow==2.9"),))))
    own = lines(code("mlflow", "Flask==1.0"))
    assert brought - set(own) == {"flask<4"}
    assert "flask==1.0" in own


@pytest.mark.parametrize(
    "line",
    [
        "mlflow[genai] @ git+https://example.org/mlflow.git@v3",
        "mlflow[genai] @ https://example.org/mlflow-3.1.0-py3-none-any.whl",
        "mlflow[genai]==3.1.0 --hash=sha256:0",
    ],
)
def test_mlflow_by_address_or_hash_is_the_servers_too(line):
    requirements = lines(code(lines=(line,)))
    assert f"mlflow[genai]=={VERSION}" in requirements
    assert "matplotlib<4" in requirements
    assert line not in requirements


def requires(package: str) -> dict[str, str]:
    """Names of what it requires without extras, and the upper bounds."""
    entries = map(Requirement, importlib.metadata.requires(package))
    return {
        canonicalize_name(entry.name): str(bound)
        for entry in entries
        if entry.marker is None or entry.marker.evaluate()
        for bound in entry.specifier
        if bound.operator in ("<", "==")
    }


def test_it_is_what_mlflow_says_itself():
    """The full package is in the environment of the tests, not in the server's."""
    full, skinny = requires("mlflow"), requires("mlflow-skinny")
    of_every_recipe = {"mlflow-skinny", "mlflow-tracing", "numpy", "pandas"}
    assert {name: full[name] for name in full.keys() - skinny.keys() - of_every_recipe} == FULL


@pytest.mark.parametrize(
    ("mlflow", "bounds"),
    [
        ("1.30.1", ["numpy<2", "pandas<2", "pandas<3"]),
        ("2.9.2", ["numpy<2", "pandas<3"]),
        ("2.16.0", ["pandas<3"]),
        ("3.17.2", []),
        (None, []),
        ("no version", []),
    ],
)
def test_older_mlflow_brings_what_it_brought_then(mlflow, bounds):
    """scikit-learn 1.1 was compiled for NumPy 1."""
    recipe = judge(sklearn("scikit-learn==1.1.3", "mlflow<2", mlflow=mlflow), HERE, PYTHON).recipe
    limits = [line for line in recipe.lines if line.startswith(("numpy<", "pandas<"))]
    assert sorted(limits) == bounds
    assert {"numpy", "pandas"} <= set(recipe.lines)
    assert set(bounds) <= set(recipe.optional), "a newer Python has no NumPy 1"


def test_data_packages_that_a_model_names_rule_over_its_mlflows():
    requirements = lines(code("mlflow==2.9.2", "numpy==2.0.1", "pandas>=2", mlflow="2.9.2"))
    assert [line for line in requirements if line.startswith(("numpy", "pandas"))] == [
        "numpy",
        "numpy==2.0.1",
        "pandas",
        "pandas>=2",
    ]


def test_module_that_mlflow_would_have_brought_is_known_to_be_missing():
    fit = judge(code("mlflow"), HERE, PYTHON)
    assert fit.reasons == fit.warnings == []
    assert len(fit.missing) == 1
    assert "matplotlib" in fit.missing[0]


def test_package_of_the_same_modules_is_asked_for_once():
    needs = Needs("xgboost", {"xgboost": "3.0.0"}, (Requirement("xgboost-cpu==3.0.0"),))
    assert [line for line in lines(needs) if "xgboost" in line] == ["xgboost-cpu==3.0.0"]
    addressed = Needs("xgboost", {"xgboost": "3.0.0"}, lines=("./xgboost-3.0.0-py3-none-any.whl",))
    assert [line for line in lines(addressed) if "xgboost" in line] == [*addressed.lines]


def test_installed_package_of_the_same_modules_is_found():
    packages = installed(code("onnxruntime-gpu==1.0"))
    assert packages == {"onnxruntime": importlib.metadata.version("onnxruntime")}


def test_only_what_the_flavor_does_not_load_with_may_be_left_out():
    requirements = ("scikit-learn==1.8.0", "numpy==2.0.1", "tiny==1", "torch==2.13.0+cpu")
    extra = ("-e .", "--pre", "./own-1.0-py3-none-any.whl")
    assert judge(sklearn(*requirements, lines=extra), HERE, PYTHON).recipe.optional == [
        "tiny==1",
        "torch==2.13.0+cpu",
        "-e .",
        "./own-1.0-py3-none-any.whl",
    ]
    assert judge(code(*requirements, lines=extra), HERE, PYTHON).recipe.optional == []


def test_recipe_keeps_mlflows_extras_and_other_lines_in_order():
    needs = code("mlflow[genai]==3.0", lines=("--pre", "b.whl", "a.whl"))
    requirements = lines(needs)
    assert f"mlflow[genai]=={VERSION}" in requirements
    assert requirements[-3:] == ["--pre", "b.whl", "a.whl"]


def test_equal_requirements_have_one_recipe():
    one = judge(code("tiny==1", "requests==1.0"), HERE, PYTHON).recipe
    other = judge(code("requests==1.0", "tiny==1", mlflow="3.17.0"), HERE, PYTHON).recipe
    assert one == other
    for different in (
        code("tiny==2", "requests==1.0"),
        code("tiny==1", "requests==1.0", attached="a"),
    ):
        assert judge(different, HERE, PYTHON).recipe.digest != one.digest


@pytest.mark.parametrize(
    ("holds_code", "python", "pythons"),
    [
        (False, (3, 12), ["3.13", "3.12"]),
        (False, (3, 9), ["3.13"]),
        (False, None, ["3.13"]),
        (True, (3, 12), ["3.12"]),
        (True, (3, 10), ["3.10"]),
        (True, PYTHON, ["3.13"]),
    ],
)
def test_pythons_to_build_on(holds_code, python, pythons):
    """The server's first, since it is there; the model's, where older packages may need it."""
    assert (
        judge(Needs(python=python, holds_code=holds_code), HERE, PYTHON).recipe.pythons == pythons
    )


def test_python_that_no_worker_runs_on_has_no_recipe():
    assert judge(Needs(python=(3, 9), holds_code=True), HERE, PYTHON).recipe is None
