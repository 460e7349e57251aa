"""Where an interrupt ends a command, what it has started ends, too."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from host.user import interrupts, terminal

DEAF = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def listening():
    """As a command of `make` does."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:  # whatever these tests were started by
        signal.signal(number, signal.SIG_DFL)
    interrupts.listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("in_background", [False, True])
def test_an_interrupt_while_a_child_starts_ends_it(monkeypatch, capsys, in_background):
    started = []
    if in_background:  # as a shell starts what has "&" behind it
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        terminal.run(["sleep", "60"], "sleeping")
    (child,) = started
    assert child.poll() == -(signal.SIGTERM if in_background else signal.SIGINT)
    assert "interrupted (" in capsys.readouterr().out


def test_a_second_interrupt_ends_what_is_deaf_to_the_first(monkeypatch):
    deaf = []

    def interrupt(line):
        if line.strip().isdecimal():
            deaf.append(int(line))
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "say", interrupt)
    with pytest.raises(KeyboardInterrupt):
        terminal.run([sys.executable, "-c", DEAF], "sleeping", aloud=True)
    with pytest.raises(ProcessLookupError):
        os.kill(deaf[0], signal.SIGKILL)
