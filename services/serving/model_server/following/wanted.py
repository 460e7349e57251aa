"""What SERVING_MODELS asks for, entry by entry.

    name              the registered model's version that carries SERVING_ALIAS
    name@alias        ... that carries this alias
    name/3            ... this version, whatever the aliases say
    name=FOLDER       a model's folder, under a name of one's own
    name=URI          as well: runs:/..., s3://..., models:/other@alias, models:/other/3

Names are taken literally but for %-escapes, which allow `,`, `@`, `=` and `/` in them.
"""

from dataclasses import dataclass
from urllib.parse import unquote


class WantedError(ValueError):
    """An entry that cannot be read; the text says which."""


@dataclass(frozen=True)
class Wanted:
    """One entry. Either `model` with `alias` or `version` (in the registry), or `uri`."""

    text: str
    name: str
    model: str | None = None
    alias: str | None = None
    version: str | None = None
    uri: str | None = None

    @property
    def because(self) -> str:
        return f"SERVING_MODELS has {self.text}"

    @property
    def needs_registry(self) -> bool:
        return self.uri is None or self.uri.startswith(("runs:", "models:", "mlflow-artifacts:"))


def parse_wanted(text: str, default_alias: str) -> tuple[Wanted, ...]:
    """Raises WantedError for an entry that is malformed or whose name is taken."""
    entries = tuple(
        _parse_entry(entry.strip(), default_alias) for entry in text.split(",") if entry.strip()
    )
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise WantedError(f"{name!r} is there twice")
    return entries


def _parse_entry(text: str, default_alias: str) -> Wanted:
    name, equals, source = text.partition("=")
    if equals:
        if not source or not name or {"@", "/"} & set(name):
            raise WantedError(f"{text!r} is not name=URI or name=FOLDER")
        return _from_source(text, unquote(name), source)
    return _registered(text, text, None, default_alias)


def _from_source(text: str, name: str, source: str) -> Wanted:
    """`models:/` of a named model is followed like any other; what else there is, is a URI."""
    path = source.removeprefix("models:/")
    if path != source and ("@" in path or "/" in path):
        return _registered(text, path, name, None)
    return Wanted(text=text, name=name, uri=source)


def _registered(text: str, reference: str, name: str | None, default_alias: str | None) -> Wanted:
    for mark, part in (("@", "alias"), ("/", "version")):
        model, found, value = reference.partition(mark)
        if not found:
            continue
        if not model or not value or {"@", "/"} & set(value):
            raise WantedError(f"{text!r} is not name, name@alias, name/3, name=URI or name=FOLDER")
        if part == "version" and not (value.isascii() and value.isdigit()):
            raise WantedError(f"{text!r}: a version is a number")
        model = unquote(model)
        return Wanted(text=text, name=name or model, model=model, **{part: unquote(value)})
    model = unquote(reference)
    return Wanted(text=text, name=name or model, model=model, alias=default_alias)
