"""What is read from a model's folder, as MLflow writes it."""

import pickle
import zipfile

import cloudpickle
import pytest
import yaml

from model_server.environments.needs import read

SKLEARN = {
    "flavors": {
        "python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.12.4"},
        "sklearn": {"sklearn_version": "1.8.0", "serialization_format": "cloudpickle"},
    },
    "mlflow_version": "3.1.0",
}


def model(folder, description=SKLEARN, **files):
    (folder / "MLmodel").write_text(yaml.safe_dump(description))
    for name, content in files.items():
        name = name.replace("__", ".")
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def function_model(folder, **function):
    return model(folder, {"flavors": {"python_function": function}})


def test_flavor_is_that_of_the_loader(tmp_path):
    needs = read(model(tmp_path))
    assert needs.flavor == "sklearn"
    assert needs.loads_with == {"scikit-learn": "1.8.0", "cloudpickle": None}
    assert needs.python == (3, 12)
    assert needs.mlflow == "3.1.0"


@pytest.mark.parametrize(
    "loader", ["mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model", "my_loader"]
)
def test_other_loaders_are_code_of_the_models_own(tmp_path, loader):
    assert read(function_model(tmp_path, loader_module=loader)).flavor == "python_function"


def test_pickled_python_model_loads_with_cloudpickle(tmp_path):
    needs = read(
        function_model(tmp_path, python_model="python_model.pkl", cloudpickle_version="3.1.2")
    )
    assert needs.loads_with == {"cloudpickle": "3.1.2"}


def test_model_from_code_does_not(tmp_path):
    needs = read(function_model(tmp_path, model_code_path="a.py", cloudpickle_version="3.1.2"))
    assert needs.loads_with == {}


def test_requirements_are_read_as_pip_does(tmp_path):
    text = (
        "# made by hand\n"
        "scikit-learn==1.8.0 # the one it was trained with\n"
        "tiny[extra]>=1, \\\n  <2\n"
        "\n"
        'never==1; python_version < "3"\n'
        "-c constraints.txt\n"
        "wheels/own-1-py3-none-any.whl\n"
        "other @ https://example.org/other-1-py3-none-any.whl#sha256=0\n"
    )
    needs = read(model(tmp_path, requirements__txt=text))
    assert [str(entry) for entry in needs.requirements] == [
        "scikit-learn==1.8.0",
        "tiny[extra]<2,>=1",
    ]
    assert needs.lines == (
        "-c constraints.txt",
        "wheels/own-1-py3-none-any.whl",
        "other @ https://example.org/other-1-py3-none-any.whl#sha256=0",
    )


def test_files_that_requirements_name_count_by_content(tmp_path):
    files = {"requirements__txt": "-c constraints.txt\n"}
    first = read(model(tmp_path, **files, constraints__txt="a<2")).attached
    assert read(model(tmp_path, **files, constraints__txt="a<2")).attached == first
    assert read(model(tmp_path, **files, constraints__txt="a<3")).attached != first


def test_files_of_the_model_that_requirements_name_are_read(tmp_path):
    files = {
        "requirements__txt": "-r base.txt\n-r requirements.txt\n-r ../other.txt\n",
        "base__txt": "pandas>=2\ntiny\n--constraint=limits.txt\n",
        "limits__txt": "Pandas==2.2.3\nnever==1\n",
    }
    (tmp_path / "other.txt").write_text("elsewhere==1\n")
    folder = tmp_path / "model"
    folder.mkdir()
    needs = read(model(folder, **files))
    assert [str(entry) for entry in needs.requirements] == ["pandas==2.2.3,>=2", "tiny"]
    assert needs.lines == ("--constraint=limits.txt", "-r ../other.txt")


def test_requirement_for_another_platform_is_none_in_whatever_form(tmp_path):
    address = "https://example.org/other-1-py3-none-any.whl"
    marked = [f"other @ {address} ;", f"{address} ;", "other==1 ; ", "other==1; "]
    text = "\n".join(f'{line} sys_platform == "win32" --hash=sha256:0' for line in marked)
    needs = read(model(tmp_path, requirements__txt=text))
    assert needs.requirements == needs.lines == ()


def test_options_that_uv_stops_at_and_pip_does_not_are_left_out(tmp_path):
    (tmp_path / "wheels").mkdir()
    kept = ["--find-links wheels", "-f https://example.org/wheels", "--pre"]
    gone = ["--find-links=./stayed-behind", "-f /no/such/folder", "--require-hashes"]
    needs = read(model(tmp_path, requirements__txt="\n".join([*gone, *kept])))
    assert list(needs.lines) == kept


def test_address_may_be_longer_than_a_files_name(tmp_path):
    line = f"tiny @ https://example.org/tiny-1-py3-none-any.whl?signature={'0' * 1000}"
    assert read(model(tmp_path, requirements__txt=line)).lines == (line,)


def test_models_of_old_say_it_in_conda_yaml_alone(tmp_path):
    conda = {"dependencies": ["python=3.9", "pip", {"pip": ["mlflow", "scikit-learn==0.24"]}]}
    needs = read(model(tmp_path, conda__yaml=yaml.safe_dump(conda)))
    assert [str(entry) for entry in needs.requirements] == ["mlflow", "scikit-learn==0.24"]


def test_function_pickled_by_value_is_code(tmp_path):
    assert read(model(tmp_path, model__pkl=cloudpickle.dumps(lambda row: row))).holds_code


def test_pickle_of_references_is_none(tmp_path):
    assert not read(model(tmp_path, model__pkl=pickle.dumps([read, 1.0]))).holds_code


def test_code_is_found_in_what_pytorch_saves(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("data.pkl", cloudpickle.dumps(lambda row: row))
    assert read(model(tmp_path)).holds_code


def test_source_that_names_the_type_is_no_pickled_code(tmp_path):
    assert not read(model(tmp_path, model__py="from types import CodeType")).holds_code


@pytest.mark.parametrize("text", ["just words", "flavors: [", ""])
def test_folder_without_a_model_raises(tmp_path, text):
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises((ValueError, yaml.YAMLError)):
        read(tmp_path)
