"""What to do where a registered model is not served, because it carries no such alias."""

import difflib
import functools
from collections.abc import Iterable, Iterator
from itertools import islice

from model_server.following.answers import Alias, RegisteredModel

SHOWN = 5
"""Models of one hint, and aliases of one model."""
ALIKE = 0.8
"""The ratio of difflib that a letter or two leave."""


def hint(alias: str, models: Iterable[RegisteredModel], *, serves: bool) -> str | None:
    """What to tell people who wonder why a model is not served. `models` are those that they may
    see; with `serves` others are served, and only what looks like a mistake is said."""
    without = [model for model in models if model.version(alias) is None]
    mistakes = islice(_mistakes(alias, without), SHOWN)
    if serves:
        return " ".join(mistakes) or None
    rest = (f"Model {model.name!r} has {_aliases(model)}." for model in without)
    shown = list(mistakes) or list(islice(rest, SHOWN))
    how = (
        f"Served is the version of a registered model that carries the alias {alias!r}: set it by "
        f"MlflowClient().set_registered_model_alias(NAME, {alias!r}, VERSION), or on the model's "
        "page in MLflow."
    )
    return " ".join([how, *shown])


def lacks(alias: str, model: RegisteredModel) -> str:
    """Why a model without the alias is not served."""
    aliases = mistaken(alias, model) or _aliases(model)
    return f"no version has the alias {alias}; the model has {aliases}"


def _aliases(model: RegisteredModel) -> str:
    """The aliases that a model has, in words."""
    if not model.aliases:
        return "no alias"
    shown = ", ".join(map(_words, model.aliases[:SHOWN]))
    return f"the alias {shown}" if len(model.aliases) == 1 else f"the aliases {shown}"


def mistaken(alias: str, model: RegisteredModel) -> str | None:
    """Which alias of the model looks like the one that is asked for, and is another."""
    for one in model.aliases:
        if one.alias.casefold() == alias.casefold():
            return f"the alias {_words(one)}: aliases are case-sensitive"
    for one in model.aliases:
        if _alike(one.alias, alias):
            return f"the alias {_words(one)}, not {alias!r}"
    return None


def _mistakes(alias: str, models: Iterable[RegisteredModel]) -> Iterator[str]:
    for model in models:
        if other := mistaken(alias, model):
            yield f"Model {model.name!r} has {other}."


def _words(one: Alias) -> str:
    return f"{one.alias!r} on version {one.version}"


@functools.lru_cache(1000)
def _alike(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold()).ratio() >= ALIKE
