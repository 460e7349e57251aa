"""Find models and versions; who asks for what is not there is told what is."""

import re
from collections.abc import Iterable

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from common.errors import BadInput

MENTIONED = 20  # names in a message
PAGE = 1000
REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^@/]+)[@/](?P<version>[^@/]+)")


def some(words: Iterable[str]) -> str:
    """The words, or the first of many, in one line."""
    words = list(words)
    more = f" and {len(words) - MENTIONED} more" if len(words) > MENTIONED else ""
    return (", ".join(words[:MENTIONED]) or "none") + more


def models(client: MlflowClient) -> list[RegisteredModel]:
    """All registered models, by name."""
    registered, token = [], None
    while True:
        page = client.search_registered_models(max_results=PAGE, page_token=token)
        registered += page
        if not (token := page.token):
            return sorted(registered, key=lambda model: model.name)


def versions(client: MlflowClient, name: str | None = None) -> list[ModelVersion]:
    """All versions of a model, or of all models; the newest first."""
    registered, token = [], None
    wanted = f"name = '{name}'" if name else None
    while True:
        page = client.search_model_versions(
            wanted, max_results=PAGE, order_by=["version_number DESC"], page_token=token
        )
        registered += page
        if not (token := page.token):
            return registered


def find_model(client: MlflowClient, name: str) -> RegisteredModel:
    """The registered model; BadInput says which there are."""
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    known = some(model.name for model in models(client))
    raise BadInput(f"no model {name!r} in the registry; its models: {known}")


def find_version(client: MlflowClient, name: str, text: str) -> ModelVersion:
    """The version that `text` names by its number or an alias; BadInput says which there are."""
    aliases = find_model(client, name).aliases
    number = str(aliases.get(text, text))
    if re.fullmatch(r"[0-9]{1,9}", number):
        try:
            return client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    known = some(str(version.version) for version in versions(client, name))
    raise BadInput(
        f"{name} has no version or alias {text!r}; "
        f"its versions: {known}; its aliases: {some(aliases)}"
    )


def find_reference(client: MlflowClient, text: str) -> ModelVersion:
    """The version of a URI such as models:/wine@champion or models:/wine/3, or without models:/."""
    parts = REFERENCE.fullmatch(text)
    if not parts:
        raise BadInput(f"{text!r} is neither models:/NAME@ALIAS nor models:/NAME/VERSION")
    return find_version(client, parts["name"], parts["version"])


def uri(version: ModelVersion) -> str:
    """What loads the version."""
    return f"models:/{version.name}/{version.version}"
