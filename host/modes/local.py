"""The stack without Docker: the same services as processes, on SQLite and files in .local."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from host.clients import web
from host.docker.project import Port, Server
from host.paths import LOCAL, ROOT, shown
from host.processes import keys, supervisor
from host.processes.supervisor import Program
from host.python import environment
from host.user.options import Options
from host.user.settings import Settings
from host.user.terminal import CommandError, say, step

NAME = "local"
MEMORY = 1.5
DISK = 2.5
OVERLAYS = False
LOWEST_PORT = 1 if os.geteuid() == 0 else 1024
DATABASE = LOCAL / "tracking" / "mlflow.db"
START_DEADLINE = 120.0  # seconds


def up(settings: Settings, options: Options) -> Settings:
    """Start what does not run; return when both services are ready."""
    environment.ensure(environment.STACK)
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    if keys.keep(DATABASE, rotate=options.rotate) and supervisor.running():
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
    return settings


def down() -> None:
    """Stop the services; raises CommandError if some do not end."""
    with step("stopping tracking and serving"):
        supervisor.stop()
    if left := supervisor.marked():
        raise CommandError(f"processes {', '.join(map(str, left))} of the stack do not end")


def running() -> bool:
    """Whether its supervisord answers."""
    return bool(supervisor.running())


def left_behind() -> bool:
    """Whether services run whose supervisord was killed."""
    return bool(supervisor.marked())


def holds() -> list[str]:
    """All of it is in one folder."""
    return [f"folder {LOCAL}"] if LOCAL.exists() else []


def clean() -> None:
    """Remove the folder; raises CommandError if something in it stays."""
    down()
    with step(f"removing {shown(LOCAL)}"):
        try:
            shutil.rmtree(LOCAL)
        except OSError as error:
            stays = error.filename or shown(LOCAL)
            raise CommandError(f"not all is gone: {stays} stays: {error.strerror}") from None


def built() -> bool:
    """Whether the environment was filled."""
    return environment.STAMP.exists()


def disk() -> tuple[Path, str]:
    """All is in the checkout."""
    return ROOT, "move the checkout to another disk"


def other_checkouts() -> list[str]:
    """Each has its own folder, and no name that another could have."""
    return []


def servers() -> list[Server]:
    """Overlays bring them, and there are none without Docker."""
    return []


def further_ports() -> list[Port]:
    """Overlays ask for them, and there are none without Docker."""
    return []


def why_no_backup(command: str) -> str:
    """The container that makes backups is not there."""
    return (
        f"make {command} is for the stack under Docker Compose; of this one, stop it (make down) "
        "and copy the folder .local, or put a copy back (secrets are in it)"
    )


def gc(settings: Settings, *arguments: str) -> int:
    """Run it as a process of this machine."""
    program = _tracking(settings)
    return subprocess.run(
        [*program.command, "gc", *arguments],
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
    chosen = {k: v for k, v in settings.services.items() if k.startswith(f"{name.upper()}_")}
    common = {
        "PYTHONPATH": str(ROOT / "services" / name),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **web.past_proxies(os.environ, settings.host),
    }
    command = (str(environment.PYTHON), "-m", package)
    return Program(name, command, {**chosen, **common, **own})


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
        raise CommandError(lines[-1] if lines else "tracking_server migrate failed without a word")


def _wait_until_ready(program: Program, url: str) -> None:
    deadline = time.monotonic() + START_DEADLINE
    ready = _serving_ready if program.name == "serving" else web.ready
    while not ready(url):
        if (said := supervisor.given_up().get(program.name)) or time.monotonic() > deadline:
            _show_log(program.log)
            raise CommandError(f"{program.name} does not start ({said or 'not ready in time'})")
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
