"""A model that tries to reach what is not its own, harmlessly, and says what became of it.

Each act is a word and its arguments, separated by `|`. The answer is "done", perhaps with what was
found, or the name of the error.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import mlflow
import pandas as pd
import requests

_libc = ctypes.CDLL(None, use_errno=True)
TOKEN = "a-value-of-this-models-own"


class Nosy(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002
        return [self._try(*act.split("|")) for act in model_input["act"]]

    def _try(self, word: str, *arguments: str) -> str:
        try:
            result = getattr(self, f"_{word}")(*arguments)
        except socket.gaierror:
            return "no such name"
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, type(error).__name__)
        return "done" if result is None else f"done: {result}"

    # Files.

    def _read(self, path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123
            file.read(16)

    def _write(self, path: str) -> None:
        """And leave it as it was."""
        with open(path, "ab"):  # noqa: PTH123
            pass

    def _make(self, path: str) -> None:
        Path(path).touch(exist_ok=False)

    def _list(self, path: str) -> None:
        os.listdir(path)  # noqa: PTH208

    def _watch(self, path: str) -> None:
        """Names of files that come and go in it."""
        watch, create = _libc.inotify_init(), 0x100
        try:
            if _libc.inotify_add_watch(watch, path.encode(), create) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
        finally:
            os.close(watch)

    def _remove(self, path: str) -> None:
        Path(path).unlink()

    def _link(self, path: str) -> None:
        Path(tempfile.gettempdir(), "link").hardlink_to(path)

    def _mode(self, path: str) -> str:
        before = os.stat(path).st_mode  # noqa: PTH116
        os.chmod(path, 0o700)  # noqa: PTH101
        return "changed" if os.stat(path).st_mode != before else "unchanged"  # noqa: PTH116

    def _times(self, path: str) -> str:
        before = os.stat(path).st_mtime_ns  # noqa: PTH116
        os.utime(path, (1, 1))
        return "changed" if os.stat(path).st_mtime_ns != before else "unchanged"  # noqa: PTH116

    def _owner(self, path: str) -> str:
        before = os.stat(path).st_uid  # noqa: PTH116
        os.chown(path, 12345, -1)
        return "changed" if os.stat(path).st_uid != before else "unchanged"  # noqa: PTH116

    # Other processes.

    def _signal(self, pid: str) -> None:
        os.kill(int(pid), 0)

    def _attach(self, pid: str) -> None:
        attach, detach = 16, 17
        if _libc.ptrace(attach, int(pid), None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        _libc.ptrace(detach, int(pid), None, None)

    def _slow(self, pid: str) -> None:
        os.setpriority(os.PRIO_PROCESS, int(pid), os.getpriority(os.PRIO_PROCESS, int(pid)))

    def _bind_to_cpus(self, pid: str) -> None:
        os.sched_setaffinity(int(pid), os.sched_getaffinity(int(pid)))

    def _limit(self, pid: str) -> None:
        resource.prlimit(int(pid), resource.RLIMIT_CORE)

    def _me(self) -> int:
        return os.getpid()

    def _disown(self) -> None:
        """Let what it starts be another process's when its own parent has ended."""
        set_child_subreaper = 36
        if _libc.prctl(set_child_subreaper, 0, 0, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), "prctl")

    def _parent(self) -> int:
        return os.getppid()

    # Networks and sockets.

    def _connect(self, host: str, port: str) -> None:
        socket.create_connection((host, int(port)), 5).close()

    def _exchange(self, host: str, port: str) -> str:
        """The first line of what answers to a word that is not HTTP."""
        with socket.create_connection((host, int(port)), 5) as own:
            own.sendall(b"who is there\r\n\r\n")
            return own.recv(12).decode()

    def _get(self, client: str, url: str) -> str:
        return globals()[f"_by_{client}"](url)

    def _listen(self) -> None:
        with socket.socket() as own:
            own.bind(("127.0.0.1", 0))

    def _send(self, host: str, port: str) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as own:
            own.sendto(b"a test", (host, int(port)))

    def _resolve(self, name: str) -> None:
        socket.getaddrinfo(name, 80)

    def _speak(self, path: str) -> None:
        """Connects to a socket that has a path, or a name (which begins with @)."""
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(path.replace("@", "\0", 1))

    # Memory that has a name.

    def _shared(self, name: str) -> None:
        self._read(f"/dev/shm/{name}")

    def _segment(self) -> None:
        if _libc.shmget(0x5EED, 4096, 0o1600) < 0:
            raise OSError(ctypes.get_errno(), "shmget")

    # Its own affairs.

    def _find_temporary(self) -> str:
        return tempfile.gettempdir()

    def _find_python(self) -> str:
        return sys.executable

    def _use_temporary(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a").write_text("a")
            shutil.copy2(Path(folder, "a"), Path(folder, "b"))
            Path(folder, "b").rename(Path(folder, "c"))

    def _descriptors(self) -> str:
        kinds = set()
        for name in os.listdir("/proc/self/fd") if os.access("/proc/self/fd", os.R_OK) else ():  # noqa: PTH208
            with contextlib.suppress(OSError):
                kinds.add(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])  # noqa: PTH115
        return " ".join(sorted(kinds))

    def _variable(self, name: str) -> str:
        return os.environ.get(name, "")

    def _program(self) -> str:
        return subprocess.run(
            [sys.executable, "-c", "print(1 + 1)"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def _child_reads(self, path: str) -> str:
        code = f"open({path!r}).read()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        return done.stderr.strip().splitlines()[-1].partition(":")[0] if done.stderr else "read"

    def _thread(self) -> None:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()

    def _stop_own(self) -> None:
        child = subprocess.Popen(["sleep", "60"])
        child.send_signal(signal.SIGTERM)
        child.wait(10)

    def _say(self, line: str) -> None:
        print(line, flush=True)


def _by_urllib(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def _by_requests(url: str) -> str:
    answer = requests.get(url, timeout=10)
    return answer.text if answer.ok else str(answer.status_code)


def _by_httpx(url: str) -> str:
    import httpx

    return httpx.get(url, timeout=10).text


def _by_aiohttp(url: str) -> str:
    import aiohttp

    async def get() -> str:
        async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as answer:
            return await answer.text()

    return asyncio.run(get())


mlflow.models.set_model(Nosy())
