"""What a confined worker is refused, and by what error. The tests without Docker and those in the
container ask the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
NO, NEVER = "EACCES", "EPERM"


ABOUT = {
    "signature": ModelSignature(inputs=Schema([ColSpec("string", "act")])),
    "input_example": pd.DataFrame({"act": ["thread"]}),
    "pip_requirements": ["pandas"],
}


def save_nosy(folder: Path) -> Path:
    mlflow.pyfunc.save_model(folder, python_model=str(folder.parent / "nosy.py"), **ABOUT)
    return folder


def log_nosy(folder: Path, name: str) -> None:
    """Register it, from a folder that holds nosy.py."""
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            python_model=str(folder / "nosy.py"), name=name, registered_model_name=name, **ABOUT
        )


def of_files(secret: str, foreign: str, own: str) -> dict[str, str]:
    """secret: a file of the server's; foreign: a file of another version; own: one of this one's.
    {act: the answer that it must get}."""
    folder = foreign.rpartition("/")[0]
    return {
        f"read|{secret}": NO,
        f"write|{secret}": NO,
        f"remove|{secret}": NO,
        f"link|{secret}": "EXDEV",
        f"list|{secret.rpartition('/')[0]}": NO,
        f"read|{foreign}": NO,
        f"write|{foreign}": NO,
        f"list|{folder}": NO,
        f"make|{folder}/new": NO,
        f"child_reads|{secret}": "done: PermissionError",
        f"mode|{foreign}": "done: unchanged",
        f"times|{foreign}": "done: unchanged",
        f"owner|{foreign}": "done: unchanged",
        f"read|{own}": "done",
        f"write|{own}": NO,
        f"remove|{own}": NO,
        f"make|{own}.new": NO,
        "use_temporary": "done",
        "list|/dev/shm": NO,
        "watch|/dev/shm": NO,
        f"watch|{folder}": NO,
        "segment": NEVER,
        "program": "done: 2",
        "thread": "done",
        "stop_own": "done",
        "disown": NEVER,
    }


def of_processes(pid: int) -> dict[str, str]:
    """Acts on the HTTP process, what starts workers, or another model's worker."""
    return {
        f"read|/proc/{pid}/environ": NO,
        f"read|/proc/{pid}/mem": NO,
        f"read|/proc/{pid}/maps": NO,
        f"read|/proc/{pid}/fd/0": NO,
        f"list|/proc/{pid}/root": NO,
        f"write|/proc/{pid}/oom_score_adj": NO,
        f"signal|{pid}": NEVER,
        f"attach|{pid}": NEVER,
        f"slow|{pid}": NEVER,
        f"bind_to_cpus|{pid}": NEVER,
        f"limit|{pid}": NEVER,
    }


def of_networks(host: str, port: int, path: str = "/no/such/socket") -> dict[str, str]:
    """host, port: of something that listens; path: of a socket."""
    return {
        f"connect|{host}|{port}": NO,
        "connect|192.0.2.1|443": NO,
        "listen": NO,
        f"send|{host}|{port}": NO,
        f"speak|{path}": NO,
        "speak|@a-name-in-no-file-system": NO,
    }


def wrong(expected: dict[str, str], ask: Callable[[list[str]], list[str]]) -> dict[str, str]:
    """Acts with another answer: {act: the answer}. Empty when all is well."""
    answers = dict(zip(expected, ask(list(expected)), strict=True))
    return {act: answers[act] for act in expected if answers[act] != expected[act]}
