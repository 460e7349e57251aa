"""What is said of registered models that are not served."""

import pytest

from model_server.following.answers import Alias, RegisteredModel
from model_server.following.hints import SHOWN, hint, mistaken


def model(name: str, **aliases: str) -> RegisteredModel:
    entries = [Alias(alias, version) for alias, version in aliases.items()]
    return RegisteredModel(name, aliases=entries)


def test_an_empty_registry_says_which_alias_to_set():
    said = hint("champion", [], serves=False)
    assert "MlflowClient().set_registered_model_alias(NAME, 'champion', VERSION)" in said
    assert hint("champion", [], serves=True) is None


@pytest.mark.parametrize("serves", [True, False])
def test_an_alias_in_another_case_is_named(serves):
    said = hint("champion", [model("beer"), model("wine", Champion="3")], serves=serves)
    assert "Model 'wine' has the alias 'Champion' on version 3: aliases are case-sensitive." in said
    assert "beer" not in said


@pytest.mark.parametrize("alias", ["champoin", "champions", "chmpion", "the-champion"])
def test_an_alias_with_another_letter_is_named(alias):
    assert mistaken("champion", model("wine", **{alias: "3"})) is not None


@pytest.mark.parametrize("alias", ["challenger", "prod", "companion", "latest-run"])
def test_other_aliases_are_no_mistake(alias):
    registered = model("wine", **{alias: "3"})
    assert mistaken("champion", registered) is None
    assert hint("champion", [registered], serves=True) is None
    said = hint("champion", [registered], serves=False)
    assert f"Model 'wine' has the alias '{alias}' on version 3." in said


def test_a_model_that_carries_the_alias_needs_no_hint():
    assert hint("champion", [model("wine", champion="1", Champion="3")], serves=True) is None


def test_of_many_models_and_aliases_only_the_first_are_named():
    crowd = [model(f"m{at}", **{f"a{one}": "1" for one in range(1000)}) for at in range(1000)]
    said = hint("champion", crowd, serves=False)
    assert said.count("Model '") == SHOWN
    assert len(said) < 2000
