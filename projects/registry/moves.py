"""Move an alias by hand, and back.

A version that gets the alias `champion` is tagged with the one that had it, `champion.before`; one
that it is taken from by rolling back, with `champion.rolled_back_at`.
"""

from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from common.errors import BadInput
from lookup import find_model, find_version, some, versions
from session import person


def set_alias(client: MlflowClient, name: str, alias: str, text: str) -> str:
    """Give a version the alias, without comparison; says what came of it."""
    version = str(find_version(client, name, text).version)
    before = find_model(client, name).aliases.get(alias)
    if before is not None and str(before) == version:
        return f"{alias} of {name} is version {version} already"
    note_before(client, name, alias, version, before)
    client.set_registered_model_alias(name, alias, version)
    had = f"; version {before} had it" if before else ""
    return f"{alias} of {name} is version {version}{had}"


def remove_alias(client: MlflowClient, name: str, alias: str) -> str:
    """Take the alias away; says what came of it."""
    holder = holder_of(client, name, alias)
    client.delete_registered_model_alias(name, alias)
    return f"no version of {name} is {alias} any more; version {holder.version} was"


def roll_back(client: MlflowClient, name: str, alias: str) -> str:
    """Give the alias back to the version that had it before; says which.

    Raises BadInput where none is known.
    """
    holder = holder_of(client, name, alias)
    before = _before(client, holder, alias)
    if before is None:
        raise BadInput(
            f"no version of {name} is known to have been {alias} before version "
            f"{holder.version}: neither by the tag {alias}.before nor by promoted_at"
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    client.set_model_version_tag(name, holder.version, f"{alias}.rolled_back_by", person())
    client.set_model_version_tag(name, holder.version, f"{alias}.rolled_back_at", now)
    client.set_registered_model_alias(name, alias, before.version)
    return f"{alias} of {name} is version {before.version} again; version {holder.version} was"


def holder_of(client: MlflowClient, name: str, alias: str) -> ModelVersion:
    """The version that has the alias; BadInput says which aliases there are."""
    aliases = find_model(client, name).aliases
    if alias not in aliases:
        raise BadInput(
            f"no version of {name} has the alias {alias!r}; its aliases: {some(aliases)}"
        )
    return client.get_model_version(name, str(aliases[alias]))


def note_before(
    client: MlflowClient, name: str, alias: str, version: str, before: str | None
) -> None:
    """Tag a version that is about to get the alias with the one that has it, or with none."""
    for tag in ("rolled_back_by", "rolled_back_at"):
        client.delete_model_version_tag(name, version, f"{alias}.{tag}")
    if before is None:
        client.delete_model_version_tag(name, version, f"{alias}.before")
    else:
        client.set_model_version_tag(name, version, f"{alias}.before", before)


def _before(client: MlflowClient, holder: ModelVersion, alias: str) -> ModelVersion | None:
    """The version that the holder's own tag names; else, or if that is deleted, the one promoted
    last before the holder, which is all that other gates write down. Never one that was rolled
    back from since: going back never leads forth."""
    others = {str(each.version): each for each in versions(client, holder.name)}
    others.pop(str(holder.version), None)
    told = others.get(holder.tags.get(f"{alias}.before", ""))
    if told and not _rolled_back(told, alias):
        return told
    promoted = [
        each
        for each in others.values()
        if "promoted_at" in each.tags and not _rolled_back(each, alias)
    ]
    if "promoted_at" in holder.tags:
        promoted = [each for each in promoted if _promotion(each) < _promotion(holder)]
    return max(promoted, key=_promotion, default=None)


def _rolled_back(version: ModelVersion, alias: str) -> bool:
    """Whether the alias was taken from it by a rollback, and not given to it since."""
    back = version.tags.get(f"{alias}.rolled_back_at", "")
    return back != "" and back >= version.tags.get("promoted_at", "")


def _promotion(version: ModelVersion) -> tuple[str, int]:
    """Sort key: when a version was promoted, then its number."""
    return version.tags["promoted_at"], int(version.version)
