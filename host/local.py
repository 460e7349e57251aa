"""The stack without Docker: the same services as processes, on SQLite and files in .local."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from host import environment, keys, supervisor, web
from host.paths import LOCAL, ROOT, shown
from host.settings import Settings
from host.supervisor import Program
from host.terminal import StackError, say, step

DATABASE = LOCAL / "tracking" / "mlflow.db"
START_DEADLINE = 120.0  # seconds


def up(settings: Settings) -> None:
    """Start what does not run; return when both services are ready. Needs environment.STACK."""
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    if keys.keep(DATABASE) and supervisor.running():
        down()  # the services read their secrets when they start
    programs = [_tracking(settings), _serving(settings)]
    for folder in (DATABASE.parent, *(LOCAL / name for name in ("artifacts", "cache", "tmp"))):
        folder.mkdir(parents=True, exist_ok=True)
    if not supervisor.running():
        supervisor.stop_orphans()
        _migrate(programs[0])
    with step("starting tracking and serving"):
        supervisor.configure(programs)
        supervisor.start()
        for program, url in zip(
            programs, (settings.tracking_url, settings.serving_url), strict=True
        ):
            _wait_until_ready(program, url)


def down() -> None:
    with step("stopping tracking and serving"):
        supervisor.stop()


def running() -> bool:
    return bool(supervisor.running())


def left_behind() -> bool:
    """Whether services run whose supervisord was killed."""
    return bool(supervisor.marked())


def holds_data() -> bool:
    return LOCAL.exists()


def clean() -> None:
    down()
    with step(f"removing {shown(LOCAL)}"):
        shutil.rmtree(LOCAL)


def run_tracking(settings: Settings, *arguments: str) -> int:
    """Run another command of the tracking server's, at the user's terminal; its status."""
    program = _tracking(settings)
    return subprocess.run(
        [*program.command, *arguments],
        env={**environment.clean_variables(), **program.environment},
        check=False,
    ).returncode


def _tracking(settings: Settings) -> Program:
    names = [settings.host, *filter(None, settings.names.split(","))]
    own = {
        "TRACKING_HOST": settings.host,
        "TRACKING_PORT": str(settings.tracking_port),
        "TRACKING_NAMES": ",".join(names),
        "TRACKING_BACKEND_STORE": f"sqlite:///{DATABASE}",
        "TRACKING_ARTIFACT_STORE": str(LOCAL / "artifacts"),
        "TRACKING_SECRETS": str(keys.KEPT),
        "TRACKING_BACKUPS": str(LOCAL / "backups"),
        "TMPDIR": str(LOCAL / "tmp"),
    }
    return _program("tracking", "tracking_server", settings, own)


def _serving(settings: Settings) -> Program:
    names = [settings.host, *filter(None, settings.names.split(","))]
    own = {
        "MLFLOW_TRACKING_URI": settings.tracking_url,
        "SERVING_HOST": settings.host,
        "SERVING_PORT": str(settings.serving_port),
        "SERVING_NAMES": ",".join(names),
        "SERVING_CACHE": str(LOCAL / "cache"),
    }
    return _program("serving", "model_server", settings, own)


def _program(name: str, package: str, settings: Settings, own: dict[str, str]) -> Program:
    given = {k: v for k, v in settings.services.items() if k.startswith(f"{name.upper()}_")}
    common = {
        "PYTHONPATH": str(ROOT / "services" / name),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **web.past_proxies(os.environ, settings.host),
    }
    command = (str(environment.PYTHON), "-m", package)
    return Program(name, command, {**given, **common, **own})


def _migrate(tracking: Program) -> None:
    with step("preparing the database"):
        done = subprocess.run(
            [*tracking.command, "migrate"],
            env={**environment.clean_variables(), **tracking.environment},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise StackError(lines[-1] if lines else "tracking_server migrate failed without a word")


def _wait_until_ready(program: Program, url: str) -> None:
    deadline = time.monotonic() + START_DEADLINE
    ready = _serving_ready if program.name == "serving" else web.ready
    while not ready(url):
        if (said := supervisor.given_up().get(program.name)) or time.monotonic() > deadline:
            _show_log(program.log)
            raise StackError(f"{program.name} does not start ({said or 'not ready in time'})")
        time.sleep(0.2)


def _serving_ready(url: str) -> bool:
    """Whether the model server follows the registry, if maybe without all of SERVING_MODELS:
    those may be trained only once the stack is up."""
    status, answer = web.get(f"{url}/readyz")
    return status == 200 or "registry" not in answer.get("failing", {"registry": "not known"})


def _show_log(log: Path) -> None:
    if log.exists():
        say(f"\n  last lines of {shown(log)}:")
        for line in log.read_text(errors="replace").splitlines()[-15:]:
            say(f"    {line}")
