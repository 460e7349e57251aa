"""What helps a model that is refused, told from the words of the exception that it raised."""

import re

FROM_CODE = "or from code (python_model='model.py'), which any Python reads."

_TABLE = (
    # MLflow's and pandas', when an integer column meets a null.
    (
        (
            r"(?:to type '?|Can not safely convert float\d+ to )u?int\d+|IntCastingNaNError"
            r"|cannot convert (?:NA|float NaN) to integer|int\(\) argument must be .* 'NoneType'"
        ),
        "Integer columns hold no null: log a column that may have one as a float, with np.nan.",
    ),
    # skops'.
    (
        r"[Uu]ntrusted types found in the file: (\[[^\]]*\])",
        r"If you trust these, log the model with log_model(..., skops_trusted_types=\1).",
    ),
    # Python's, of an import.
    (
        r"No module named '([\w.]+)'",
        (
            r"Name the package that has \1 in log_model(..., extra_pip_requirements=[...]), or "
            "files of your own in code_paths=[...]."
        ),
    ),
    # Of libraries that find no network.
    (
        (
            r"name resolution|Failed to resolve|getaddrinfo failed|Name or service not known"
            r"|establish a new connection|APIConnectionError|ConnectError"
        ),
        (
            "A model reaches no network unless its tag serving.network names the host "
            "(serving.network = api.example.com), or SERVING_NETWORK does."
        ),
    ),
    # SQLite's, of a database beyond what a worker may write.
    (
        r"unable to open database file|attempt to write a readonly database",
        "A model writes to tempfile.gettempdir(), and nowhere else.",
    ),
    # Python's, of files beyond what a worker may reach.
    (
        r"PermissionError: \[Errno 13\] Permission denied: ",
        (
            "A model reads its own files and libraries, and writes to tempfile.gettempdir(); "
            "SERVING_FOLDERS names others that models may read."
        ),
    ),
    # NumPy's, and Cython's, of what was compiled for another of its major versions.
    (
        r"numpy\.dtype size changed|compiled using NumPy 1\.x|numpy\.core\.multiarray failed",
        "A package was compiled for NumPy 1: log it with extra_pip_requirements=['numpy<2'].",
    ),
    # pickle's, of what was defined in a notebook or a script; `python -m` has another name for it.
    (
        r"Can't get attribute '(\w+)' on <module '(?:[\w.]*__main__|model_server\.[\w.]+)'",
        r"Define \1 in a module, and log the model with log_model(..., code_paths=[THAT FILE]).",
    ),
    # environments/fit.py's.
    (
        r"code pickled by Python [\d.]+ \(here ([\d.]+)\)",
        rf"Log it on Python \1, {FROM_CODE}",
    ),
    # Python's, of code that another one compiled.
    (
        (
            r"\bcode(?:\(\) argument| expected at least)|unknown opcode|bad marshal data"
            r"|unsupported pickle protocol"
        ),
        f"It looks like code pickled by another Python: log it on the server's, {FROM_CODE}",
    ),
    # MLflow's, of a link.
    (
        r"resolved path is outside the artifact directory",
        "MLflow follows no link that leads out of a model's folder: put what it leads to there.",
    ),
    # MLflow's, of what it does not take for the name of a folder.
    (
        r"MlflowException: (?:Invalid path|No such artifact)",
        (
            "MLflow reads no folder whose name has #, control characters or what looks like an "
            "escape (%41): rename it."
        ),
    ),
    # mlflow.pyfunc.load_model's.
    (
        (
            r"Model implementation is missing required \w+ method"
            r'|Model does not have the "python_function" flavor'
        ),
        (
            "A model is served by its predict: log a mlflow.pyfunc.PythonModel whose predict "
            "calls what this one has."
        ),
    ),
)
"""Words of exceptions, and what to do; a remedy may use their groups."""


def with_remedy(problem: str) -> str:
    """The reason why a version is refused, with what to do about it where that is known."""
    for pattern, remedy in _TABLE:
        if match := re.search(pattern, problem):
            end = "" if problem.endswith((".", "!", "?")) else "."
            return f"{problem}{end} {match.expand(remedy)}"
    return problem
