"""The reference: `mlflow models serve`, by its command and by many of what the command runs."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.ports import free_port
from harness.processes import Process, clean_environment
from tests.integration.serving.reference.comparison import Address

STARTS_WITHIN = 120
"""Seconds, on a busy machine."""
THREADS = {"OMP_NUM_THREADS": "1"}
"""One, as our workers have; more of them spin for the cores that others need."""


def serve_command(model: Path, port: int, log: Path) -> Process:
    """`mlflow models serve` itself."""
    command = "from mlflow.cli import cli; cli()"
    arguments = ["models", "serve", "-m", model, "-p", port, "--env-manager", "local"]
    # It runs `uvicorn` by name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return Process(
        [sys.executable, "-c", command, *arguments], clean_environment(PATH=path, **THREADS), log
    )


def serve_many(
    models: Mapping[Path, int],
    logs: Path,
    python: str | Path = sys.executable,
    variables: Mapping[str, str] | None = None,
) -> Process:
    """What the command runs for each model, from one program: see host.py."""
    host = Path(__file__).with_name("host.py")
    arguments = [f"{folder}={port}" for folder, port in models.items()]
    environment = clean_environment(**THREADS, **(variables or {}))
    return Process([python, host, logs, *arguments], environment, logs / "host.log")


class Reference:
    """`mlflow models serve` on many folders; those in `by_command` by the very command, the others
    by what it runs, in the environment of `python`."""

    def __init__(
        self,
        models: Mapping[str, Path],
        by_command: set[str],
        logs: Path,
        python: str | Path = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        ports = {name: free_port() for name in models}
        self._logs = logs
        self.addresses = {name: Address(port) for name, port in ports.items()}
        hosted = {models[name]: ports[name] for name in models if name not in by_command}
        self.processes = [
            serve_command(models[name], ports[name], logs / f"{name}.log") for name in by_command
        ]
        self.processes.append(serve_many(hosted, logs, python, variables))

    def start(self, *, all_of_them: bool = True) -> Reference:
        """Raises AssertionError for models that it refuses, with `all_of_them`."""
        for process in self.processes:
            process.start()
        for name, address in self.addresses.items():
            for process in self.processes:
                process.wait_for(
                    lambda name=name, at=address: name in self.ended or _up(at.port),
                    STARTS_WITHIN,
                    name,
                )
        for name in self.ended if all_of_them else ():
            raise AssertionError(f"{name} is not served by the reference: {self.log(name)}")
        return self

    @property
    def ended(self) -> set[str]:
        """Models that ended, of those that the command does not serve."""
        host = self.processes[-1].text()
        return {name for name, at in self.addresses.items() if f"ended: {at.port}\n" in host}

    def log(self, name: str) -> str:
        """The end of what it wrote of this model."""
        file = self._logs / f"{self.addresses[name].port}.log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else ""

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def _up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    finally:
        connection.close()
