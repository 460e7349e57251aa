"""A stack of the tests' own: the files that ship, under another project name, on free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from host.commands.lint import project_files
from host.paths import ROOT

# The user's own images stay as they are; each checkout has its own, so that two may be tested.
IMAGES = f"mlflow-stack-test-{zlib.crc32(str(ROOT).encode()):08x}"


def copy_shipped_files(target: Path) -> None:
    """What a clone of this working tree would hold."""
    for path in project_files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def docker(
    *arguments: str, check: bool = True, stdin: str | None = None, **options
) -> subprocess.CompletedProcess[str]:
    """Run `docker ARGUMENTS`; fails the test with what it said unless `check` is off."""
    done = subprocess.run(
        ["docker", *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        **options,
    )
    if check and done.returncode:
        raise AssertionError(
            f"docker {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


class Stack:
    """One Compose project made from the files in `folder`."""

    def __init__(
        self,
        folder: Path,
        project: str,
        tracking_port: int,
        serving_port: int,
        overlays: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.files = ["docker-compose.yml", *overlays]
        self.project = project
        self.tracking_port, self.serving_port = tracking_port, serving_port
        self.tracking = f"http://127.0.0.1:{tracking_port}"
        self.serving = f"http://127.0.0.1:{serving_port}"

    def environment(self, **settings: str) -> dict[str, str]:
        """This machine's variables, the project's, and `settings`."""
        return {
            **os.environ,
            "COMPOSE_FILE": os.pathsep.join(self.files),
            "COMPOSE_PROJECT_NAME": self.project,
            "STACK_IMAGES": IMAGES,
            "TRACKING_PORT": str(self.tracking_port),
            "SERVING_PORT": str(self.serving_port),
            **settings,
        }

    def compose(
        self, *arguments: str, check: bool = True, stdin: str | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """`docker compose ARGUMENTS`, as a user types it in the clone."""
        return docker(
            "compose",
            *arguments,
            check=check,
            stdin=stdin,
            cwd=self.folder,
            env=self.environment(**settings),
        )

    def up(self, *arguments: str, **settings: str) -> None:
        self.compose("up", "--detach", "--wait", *arguments, **settings)

    def down(self, *arguments: str) -> None:
        self.compose("--profile", "runner", "down", *arguments)

    def remove(self) -> None:
        """Deletes its data too, also of overlays that only some test added."""
        self.down("--volumes", "--timeout", "5")
        label = f"label=com.docker.compose.project={self.project}"
        if left := docker("volume", "ls", "--quiet", "--filter", label).stdout.split():
            docker("volume", "rm", *left)

    def execute(self, service: str, *command: str, stdin: str | None = None) -> str:
        """Output of a command inside a running container."""
        return self.compose("exec", "-T", service, *command, stdin=stdin).stdout

    def run(self, service: str, *command: str, entrypoint: str, stdin: str | None = None) -> str:
        """Output of a command in a new container of a service."""
        options = ["--rm", "-T", "--no-deps", "--quiet-pull", "--entrypoint", entrypoint]
        return self.compose("run", *options, service, *command, stdin=stdin).stdout

    def containers(self) -> dict[str, dict]:
        """`docker inspect` of every container, exited ones too, by service."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = docker("ps", "--all", "--quiet", "--filter", label).stdout.split()
        inspected = json.loads(docker("inspect", *ids).stdout) if ids else []
        return {
            container["Config"]["Labels"]["com.docker.compose.service"]: container
            for container in inspected
        }

    def container(self, service: str) -> dict:
        return self.containers()[service]

    def volume(self, name: str) -> str:
        return f"{self.project}_{name}"

    def secrets(self) -> dict[str, str]:
        """Every secret value, which only the one-shot `secrets` may see."""
        script = (
            "import json, pathlib\n"
            "files = [f for f in pathlib.Path('/stack/master').iterdir() if f.name != '.lock']\n"
            "print(json.dumps({file.name: file.read_text() for file in files}))"
        )
        return json.loads(self.run("secrets", "-c", script, entrypoint="python3"))

    def storage(self, script: str) -> str:
        """Output of a shell script that uses the S3 storage as its administrator, `mc` alias
        `stack`."""
        login = (
            "export MC_CONFIG_DIR=/tmp/mc; cd /run/stack; "
            "{ cat root-user; echo; cat root-password; echo; } "
            "| mc alias set stack http://minio:9000 >/dev/null"
        )
        return self.run("bucket", "-ec", f"{login}\n{script}", entrypoint="sh")

    def sql(self, query: str, **variables: str) -> list[str]:
        """Rows of a query on MLflow's database, columns separated by `|`; :'name' is a variable."""
        options = [f"--variable={name}={value}" for name, value in variables.items()]
        psql = ["psql", "--username=postgres", "--dbname=mlflow", "--no-align", "--tuples-only"]
        return self.execute("postgres", *psql, *options, stdin=query).splitlines()

    def trouble(self) -> Iterator[str]:
        """The last lines of every container that is not as it should be."""
        for service, container in self.containers().items():
            state = container["State"]
            health = state.get("Health", {}).get("Status", "healthy")
            if health != "healthy" or state["ExitCode"] or state["OOMKilled"]:
                logs = docker("logs", "--tail", "50", container["Id"], check=False)
                yield f"== {service}: {state['Status']}, {health}\n{logs.stdout}{logs.stderr}"
