"""What one served version is made of."""

from dataclasses import dataclass, field
from pathlib import Path

from model_server.models.folder import Look
from model_server.wanted import is_folder


@dataclass(frozen=True)
class Target:
    """One version to be served, and why."""

    name: str
    """The name it is served under."""
    version: str
    uri: str
    """Where its files are: for the fetcher, or a folder of this machine."""
    identity: str
    """Equal only for the same files: a number can come back with other content behind it, in a
    database made anew or after a version was deleted."""
    because: str
    tags: dict[str, str] = field(default_factory=dict, compare=False)
    """The version's own, as they were when the registry was asked for it."""
    shadows: str | None = field(default=None, compare=False)
    """The served name whose requests it gets as well, without being its answer."""
    files: Look | None = field(default=None, compare=False)
    """What a folder of this machine held when this version was made of it."""

    @property
    def is_folder(self) -> bool:
        """Whether its files are a folder of this machine."""
        return is_folder(self.uri)

    @property
    def source(self) -> str:
        """What users are told: where a folder lies on this machine is nobody's business."""
        return f"folder {Path(self.uri).name}" if self.is_folder else self.uri
