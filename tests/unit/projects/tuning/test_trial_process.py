"""A trial in its own process: its scores, its failure or its death come back."""

import os
import signal
import subprocess
import sys
from multiprocessing.connection import wait

from harness.waiting import wait_until
from host.paths import ROOT
from trial_process import TrialProcess
from tuned_pipeline import cross_validate

FAR = 90  # seconds
INTERRUPTED = """
import signal
from trial_process import TrialProcess, prepare
class AtTheStart:
    def __reduce__(self):
        return signal.raise_signal, (signal.SIGINT,)
if __name__ == "__main__":
    prepare()
    print(TrialProcess(repr, AtTheStart()).outcome()[0])
    print(TrialProcess(signal.raise_signal, signal.SIGINT).outcome()[0])
"""
HANGS = """
import sys
import time
from trial_process import TrialProcess
if __name__ == "__main__":
    process = TrialProcess(time.sleep, 600)
    print(process._process.pid, flush=True)
    sys.stdin.read()
"""


def ended(process):
    assert wait([process.connection], timeout=FAR)
    outcome, seconds = process.outcome()
    assert seconds < FAR
    return outcome


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_result_comes_back():
    assert ended(TrialProcess(sorted, [3.0, 1.0])) == [1.0, 3.0]


def test_an_exception_is_said_in_one_line():
    assert ended(TrialProcess(int, "much")).startswith("ValueError: invalid literal for int()")
    assert "\n" not in ended(TrialProcess(cross_validate, None, None, {}, 0))


def test_a_death_is_said_too():
    assert ended(TrialProcess(os._exit, 7)) == "the trial's process ended with status 7"
    assert ended(TrialProcess(signal.raise_signal, signal.SIGKILL)).endswith("status -9")


def start(folder, text):
    """A search of its own, by a script, which a process that forks must be able to import."""
    script = folder / "search.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "projects" / "tuning")}
    return subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        # What a shell starts in the background is deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_is_for_the_search_alone(tmp_path):
    search = start(tmp_path, INTERRUPTED)
    assert search.communicate(timeout=FAR)[0] == "None\nNone\n"


def test_it_ends_with_the_search_that_started_it(tmp_path):
    search = start(tmp_path, HANGS)
    trial = int(search.stdout.readline())
    assert exists(trial)

    search.kill()
    search.wait()

    wait_until(lambda: not exists(trial), FAR, "the trial's end")
    search.stdin.close()
    search.stdout.close()
