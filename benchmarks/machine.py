"""What the figures were measured on."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("mlflow", "gunicorn", "uvicorn", "SQLAlchemy", "scikit-learn", "numpy", "pandas")


def describe() -> dict[str, str]:
    """Processor, memory, system and versions."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        **{package: version(package) for package in PACKAGES},
    }


def refusal() -> str | None:
    """Why nothing can be measured here, or None: shared memory is told apart on Linux only."""
    if sys.platform == "linux":
        return None
    return f"the benchmarks need Linux, which tells processes' shared memory apart: {sys.platform}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
