"""What a tracking server answers about its registry, as far as it is needed here."""

from typing import TypeVar

import msgspec

STRANGE = "its answer is not a tracking server's"


class RegistryError(Exception):
    """The registry gave no usable answer; the text says why."""


class Alias(msgspec.Struct):
    """A name that a model's version carries."""

    alias: str
    version: str


class RegisteredModel(msgspec.Struct):
    """A registered model, as a search finds it."""

    name: str
    creation_timestamp: int = 0
    last_updated_timestamp: int = 0
    aliases: list[Alias] = []

    def version(self, alias: str | None) -> str | None:
        """The version that carries the alias."""
        return next((entry.version for entry in self.aliases if entry.alias == alias), None)


class ModelsPage(msgspec.Struct):
    """MLflow leaves out what is empty: `{}` is a registry without models."""

    entries: list[RegisteredModel] = msgspec.field(default_factory=list, name="registered_models")
    next_page_token: str | None = None


class Tag(msgspec.Struct):
    """A key and its value."""

    key: str
    value: str = ""


class ModelVersion(msgspec.Struct):
    """One version's own entry."""

    source: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    creation_timestamp: int | None = None
    tags: list[Tag] = []


class VersionAnswer(msgspec.Struct):
    """The answer about one version."""

    model_version: ModelVersion


class Registered(msgspec.Struct):
    """A version, as a search for versions finds it."""

    name: str
    version: str


class VersionsPage(msgspec.Struct):
    """A page of versions."""

    entries: list[Registered] = msgspec.field(default_factory=list, name="model_versions")
    next_page_token: str | None = None


T = TypeVar("T", bound=msgspec.Struct)


def read(content: bytes, kind: type[T]) -> T:
    """An answer of this kind. Raises RegistryError."""
    try:
        # Not strict: a 64-bit number may come as text, as protobuf's own JSON has it.
        return msgspec.json.decode(content, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RegistryError(STRANGE) from None
