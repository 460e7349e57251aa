"""What is asked for: SERVING_MODELS, entry by entry, and what was deployed through the API.

    name              the registered model's version that carries SERVING_ALIAS
    name@alias        ... that carries this alias
    name/3            ... this version, whatever the aliases say
    name=FOLDER       a model's folder, under a name of one's own
    name=URI          as well: runs:/..., s3://..., models:/other@alias, models:/other/3

Names are taken literally but for %-escapes, which allow `,`, `@`, `=` and `/` in them. The API
takes `models:/name@alias` and `models:/name/3`. The command line takes a folder or a URI alone as
well.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from model_server.files import expanded

_VERSION = re.compile(r"[0-9]{1,9}")


class WantedError(ValueError):
    """An entry that cannot be read; the text says which."""


@dataclass(frozen=True)
class Wanted:
    """One entry. Either `model` with `alias` or `version` (in the registry), or `uri`."""

    text: str
    name: str
    because: str
    """Whose word it is; without a folder of this machine."""
    model: str | None = None
    alias: str | None = None
    version: str | None = None
    uri: str | None = None
    shadows: str | None = None
    """The served name that it is a shadow of."""

    @property
    def needs_registry(self) -> bool:
        """Whether it takes the tracking server to find its files."""
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


def entry_for(argument: str) -> str:
    """The entry that a folder or URI alone stands for, under its own name. What is an entry already
    stays one."""
    if ":/" in argument and "=" not in argument.partition(":/")[0]:
        path = unquote(urlsplit(argument).path).strip("/")
        if argument.startswith("models:/"):
            name = re.sub(r"/[0-9]+$|@[^@/]*$", "", argument.removeprefix("models:/"))
            return f"{quote(unquote(name), safe='')}={argument}"
        return f"{quote(Path(path).name, safe='')}={argument}"
    folder = expanded(argument)
    if not argument.startswith((".", "~", "/")) and not folder.is_dir():
        return argument
    folder = Path(os.path.normpath(folder.absolute()))
    # As a URI: no character of it has a meaning of its own in SERVING_MODELS.
    return f"{quote(folder.name, safe='')}=file:{quote(str(folder))}"


def deployed(name: str, uri: str) -> Wanted:
    """What the API was asked to serve as `name`. Raises WantedError."""
    reference = uri.removeprefix("models:/")
    if reference == uri or not {"@", "/"} & set(reference):
        raise WantedError(f"{uri!r} is not models:/name@alias or models:/name/3")
    return _registered(uri, reference, name, None, f"deployed through the API: {uri}")


def is_folder(uri: str) -> bool:
    """Whether this URI is a folder of this machine."""
    return ":/" not in uri or uri.startswith("file:")


def _parse_entry(text: str, default_alias: str) -> Wanted:
    because = f"SERVING_MODELS has {text}"
    name, equals, source = text.partition("=")
    if not equals:
        return _registered(text, text, None, default_alias, because)
    if not source or not name or {"@", "/"} & set(name):
        raise WantedError(f"{text!r} is not name=URI or name=FOLDER")
    # `models:/` of a named model is followed like any other; what else there is, is a URI.
    reference = source.removeprefix("models:/")
    if reference != source and {"@", "/"} & set(reference):
        return _registered(text, reference, unquote(name), None, because)
    if is_folder(source):
        because = f"SERVING_MODELS has {name}=FOLDER"
    return Wanted(text, unquote(name), because, uri=source)


def _registered(
    text: str, reference: str, name: str | None, default_alias: str | None, because: str
) -> Wanted:
    for mark, part in (("@", "alias"), ("/", "version")):
        model, is_marked, value = reference.partition(mark)
        if not is_marked:
            continue
        if not model or not value or {"@", "/"} & set(value):
            raise WantedError(f"{text!r} is not name, name@alias, name/3, name=URI or name=FOLDER")
        if part == "version" and not _VERSION.fullmatch(value):
            raise WantedError(f"{text!r}: a version is a number")
        model = unquote(model)
        return Wanted(text, name or model, because, model, **{part: unquote(value)})
    model = unquote(reference)
    return Wanted(text, name or model, because, model, alias=default_alias)
