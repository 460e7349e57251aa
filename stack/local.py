"""The stack without Docker: the same services as processes, on SQLite and files in .local."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from pathlib import Path

from stack import environment, supervisor, web
from stack.paths import LOCAL, ROOT, shown
from stack.settings import Settings
from stack.supervisor import Program
from stack.terminal import StackError, say, step

SECRETS = LOCAL / "secrets"
DATABASE = LOCAL / "tracking" / "mlflow.db"
START_DEADLINE = 120.0  # seconds


def up(settings: Settings) -> None:
    """Start what does not run; return when both services are ready. Needs environment.STACK."""
    LOCAL.mkdir(mode=0o700, exist_ok=True)
    _keep_secrets()
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


def explain_failure() -> None:
    """Show the last lines of each service's log."""
    for name in ("tracking", "serving"):
        _show_log(LOCAL / "logs" / f"{name}.log")


def _tracking(settings: Settings) -> Program:
    names = [settings.host, *filter(None, settings.names.split(","))]
    own = {
        "TRACKING_HOST": settings.host,
        "TRACKING_PORT": str(settings.tracking_port),
        "TRACKING_NAMES": ",".join(names),
        "TRACKING_BACKEND_STORE": f"sqlite:///{DATABASE}",
        "TRACKING_ARTIFACT_STORE": str(LOCAL / "artifacts"),
        "TRACKING_SECRETS": str(SECRETS),
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
        "SERVING_DEFAULT": settings.services.get("SERVING_DEFAULT", "wine"),
    }
    return _program("serving", "model_server", settings, own)


def _program(name: str, package: str, settings: Settings, own: dict[str, str]) -> Program:
    given = {k: v for k, v in settings.services.items() if k.startswith(f"{name.upper()}_")}
    common = {"PYTHONPATH": str(ROOT / "services" / name), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = (str(environment.PYTHON), "-m", package)
    return Program(name, command, {**given, **common, **own})


def _keep_secrets() -> None:
    """Make the secrets at the first start; a file in secrets/ replaces one."""
    SECRETS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("kek-passphrase", "flask-secret-key"):
        kept, given = SECRETS / name, ROOT / "secrets" / name
        if kept.exists() and not given.exists():
            continue
        if name == "kek-passphrase" and DATABASE.exists():
            _refuse_another(kept, given)
        value = given.read_text().strip() if given.exists() else secrets.token_hex(32)
        temporary = kept.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(value)
        temporary.replace(kept)


def _refuse_another(kept: Path, given: Path) -> None:
    if not kept.exists():
        if given.exists():
            return  # put back by the user
        found = "none"
    elif given.read_text().strip() == kept.read_text():
        return
    else:
        found = f"another one in {shown(given)}"
    raise StackError(
        f"{shown(kept)}: expected the passphrase that {shown(DATABASE)} was written with, "
        f"found {found}: put it back, or make clean (removes all data of local mode)"
    )


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
    while not web.ready(url):
        if (said := supervisor.given_up().get(program.name)) or time.monotonic() > deadline:
            _show_log(program.log)
            raise StackError(f"{program.name} does not start ({said or 'not ready in time'})")
        time.sleep(0.2)


def _show_log(log: Path) -> None:
    if log.exists():
        say(f"\n  last lines of {shown(log)}:")
        for line in log.read_text(errors="replace").splitlines()[-15:]:
            say(f"    {line}")
