"""What is done to models and versions, save moving aliases. Each function says what came of it."""

import re
from contextlib import redirect_stderr
from io import StringIO

from mlflow import MlflowClient
from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from common.errors import BadInput
from lookup import find_model, find_reference, find_version, some, uri, versions
from served import CannotAskError, followed_alias, served

HISTORY = re.compile(
    r"promoted_at|promoted_by|promotion|.+\.(?:before|rolled_back_at|rolled_back_by)"
)
"""Tags of what a version went through under its own name; a copy has been through none of it."""


def create(client: MlflowClient, name: str, description: str) -> str:
    """Register a name, if it is not yet."""
    try:
        client.create_registered_model(name, description=description or None)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return f"{name} exists already"
    return f"{name} is registered"


def describe(client: MlflowClient, name: str, text: str, version: str) -> str:
    """Set the description of a model, or of one of its versions."""
    if version:
        number = find_version(client, name, version).version
        client.update_model_version(name, number, text)
        return f"version {number} of {name} is described"
    find_model(client, name)
    client.update_registered_model(name, text)
    return f"{name} is described"


def tag(client: MlflowClient, name: str, key: str, value: str, version: str) -> str:
    """Set a tag of a model, or of one of its versions."""
    if version:
        number = find_version(client, name, version).version
        client.set_model_version_tag(name, number, key, value)
        return f"version {number} of {name} has the tag {key}={value}"
    find_model(client, name)
    client.set_registered_model_tag(name, key, value)
    return f"{name} has the tag {key}={value}"


def untag(client: MlflowClient, name: str, key: str, version: str) -> str:
    """Remove a tag of a model, or of one of its versions."""
    entity = find_version(client, name, version) if version else find_model(client, name)
    what = f"version {entity.version} of {name}" if version else name
    if key not in entity.tags:
        raise BadInput(f"{what} has no tag {key!r}; its tags: {some(entity.tags)}")
    if version:
        client.delete_model_version_tag(name, entity.version, key)
    else:
        client.delete_registered_model_tag(name, key)
    return f"{what} has the tag {key} no more"


def register(client: MlflowClient, name: str, run_id: str, model: str) -> str:
    """Register the model that a run logged as the next version, if it is none yet."""
    logged = _logged_model(client, run_id, model)
    source, what = f"models:/{logged.model_id}", f"the model {logged.name} of run {run_id}"
    if known := [each for each in versions(client, name) if each.source == source]:
        return f"version {known[-1].version} of {name} is {what} already"
    create(client, name, "")
    version = client.create_model_version(name, source, run_id, model_id=logged.model_id)
    return f"version {version.version} of {name} is {what}"


def copy(client: MlflowClient, source: str, target: str) -> str:
    """Make a version the next version under another name, if it is there not yet."""
    version = find_reference(client, source)
    if target == version.name:
        raise BadInput(f"{uri(version)} cannot be copied to its own name")
    origin = f"{version.name}/{version.version}"
    what = f"a copy of {version.name} version {version.version}"
    for known in versions(client, target):
        if known.source == uri(version) and known.tags.get("copied_from") == origin:
            return f"version {known.version} of {target} is {what} already"
    with redirect_stderr(StringIO()):  # where MLflow says the same
        made = client.copy_model_version(uri(version), target)
    for key in version.tags:
        if HISTORY.fullmatch(key):
            client.delete_model_version_tag(target, made.version, key)
    client.set_model_version_tag(target, made.version, "copied_from", origin)
    return f"version {made.version} of {target} is {what}"


def delete_version(client: MlflowClient, name: str, text: str, force: bool) -> str:
    """Delete a version; with `force` even if it carries an alias or is served.

    Raises BadInput where it is not deleted.
    """
    number = str(find_version(client, name, text).version)
    note = _guard(client, name, {number}, f"version {number} of {name}", force)
    client.delete_model_version(name, number)
    return f"version {number} of {name} is deleted{note}"


def delete_model(client: MlflowClient, name: str, force: bool) -> str:
    """Delete a model and its versions; with `force` even if one carries an alias or is served.

    Raises BadInput where it is not deleted.
    """
    find_model(client, name)
    numbers = {str(version.version) for version in versions(client, name)}
    note = _guard(client, name, numbers, name, force)
    client.delete_registered_model(name)
    return f"{name} is deleted, with {len(numbers)} versions{note}"


def _guard(client: MlflowClient, name: str, numbers: set[str], what: str, force: bool) -> str:
    """Refuse to delete what is in use, unless forced; what could not be found out is returned."""
    if force:
        return ""
    aliases = find_model(client, name).aliases
    reasons = [
        f"version {version} carries the alias {alias}"
        + (", which the model server follows" if alias == followed_alias() else "")
        for alias, version in sorted(aliases.items())
        if str(version) in numbers
    ]
    note = ""
    try:
        reasons += [
            f"version {entry.version} is {entry.words}"
            for entry in served(name)
            if entry.version in numbers
        ]
    except CannotAskError as error:
        note = f" ({error}; only aliases told what is in use)"
    if reasons:
        raise BadInput(f"{what} is not deleted: {some(reasons)}; --force true deletes it anyway")
    return note


def _logged_model(client: MlflowClient, run_id: str, name: str) -> LoggedModel:
    """The model that a run logged under a name, the last of several.

    Raises BadInput that says which there are.
    """
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        recent = client.search_runs(
            [each.experiment_id for each in client.search_experiments()], max_results=5
        )
        known = some(each.info.run_id for each in recent)
        raise BadInput(f"no run {run_id!r}; the latest runs: {known}") from None
    outputs = sorted(run.outputs.model_outputs, key=lambda each: each.step) if run.outputs else []
    logged = [client.get_logged_model(each.model_id) for each in outputs]
    wanted = [each for each in logged if each.name == name]
    if not wanted:
        known = some(each.name for each in logged)
        raise BadInput(f"run {run_id} has logged no model {name!r}; its models: {known}")
    return wanted[-1]
