"""The artifacts, copied over the S3 API both ways: so it does not matter what stores them.

The copy is a mirror on a volume: an object that has the size and the time that it had is not
fetched again.
"""

from pathlib import Path

from stack_backup import tools
from stack_backup.settings import Settings

OPTIONS = ["--config=", "--use-server-modtime", "--no-update-modtime", "--fast-list"]
OPTIONS += ["--transfers=8", "--checkers=16", "--retries=3", "--stats=10s", "--stats-one-line"]


class Bucket:
    """The bucket, and its mirror."""

    def __init__(self, settings: Settings) -> None:
        self._remote = f":s3:{settings.artifacts.removeprefix('s3://')}"
        self._variables = {
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENV_AUTH": "true",
            "RCLONE_S3_SHARED_CREDENTIALS_FILE": str(settings.secrets / "s3.ini"),
            "RCLONE_S3_ENDPOINT": settings.artifacts_endpoint,
            "RCLONE_S3_REGION": "us-east-1",
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
            "HOME": "/tmp",  # noqa: S108 - the container's own
        }

    def fetch(self, mirror: Path) -> None:
        """Make `mirror` equal to the bucket. Raises ToolError."""
        self._run("sync", self._remote, str(mirror), "--delete-excluded")

    def send(self, mirror: Path) -> None:
        """Bring to the bucket what it lacks or has otherwise, and take nothing away."""
        self._run("copy", str(mirror), self._remote)

    def send_and_drop(self, mirror: Path) -> None:
        """Make the bucket equal to `mirror`."""
        self._run("sync", str(mirror), self._remote)

    def files(self) -> set[str]:
        """The paths of all objects."""
        listed = self._run("lsf", "--recursive", "--files-only", self._remote)
        return set(listed.splitlines())

    def _run(self, command: str, *arguments: str) -> str:
        return tools.run("rclone", command, *OPTIONS, *arguments, variables=self._variables)
