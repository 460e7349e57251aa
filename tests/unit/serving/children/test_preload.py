"""The process that workers are forked from: a thread would not be in the fork, its locks would."""

import subprocess
import sys

from harness.processes import clean_environment

PROGRAM = """
import sys
from pathlib import Path
from model_server.processes import process
process.prepare(threads=1)
from model_server.children import preload
print("missing", *[name for name in preload.MODULES if name not in sys.modules])
print("threads", *[task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")])
"""


def test_imports_everything_and_starts_no_thread_but_the_allocators():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean_environment(CI="", ORT_DISABLE_TELEMETRY=""),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    missing, threads = done.stdout.splitlines()
    assert missing == "missing"
    others = [name for name in threads.split()[1:] if not name.startswith("jemalloc")]
    assert len(others) == 1
