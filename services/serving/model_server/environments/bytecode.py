"""Bytecode that environments share: a module's is as good beside every link to the module."""

import contextlib
import os
from importlib.util import source_from_cache
from pathlib import Path

from model_server.environments.messages import MARKER


def share_bytecode(folder: Path) -> int:
    """Links, beside the modules in this environment, what workers of the others have compiled of
    the very same files. Returns how many. Without it, every first worker of an environment would
    take seconds more to compile MLflow and pandas anew."""
    count = 0
    for other in folder.parent.glob(f"*/{MARKER}"):
        if other.parent == folder:
            continue
        for compiled in other.parent.glob("lib/python*/site-packages/**/__pycache__/*.pyc"):
            with contextlib.suppress(OSError, ValueError):  # none of ours, or on its way out
                source = Path(source_from_cache(str(compiled)))
                if source.samefile(folder / source.relative_to(other.parent)):
                    link = folder / compiled.relative_to(other.parent)
                    link.parent.mkdir(exist_ok=True)
                    os.link(compiled, link)
                    count += 1
    return count
