"""Which shadows the registry's tags ask for."""

import pytest

from model_server.following.answers import Alias, RegisteredModel
from model_server.following.registry import _shadows
from model_server.models.target import Target
from model_server.options import SHADOW
from model_server.wanted import Wanted


@pytest.mark.parametrize(
    ("alias", "others", "registered", "expected"),
    [
        ("trial", [], [], [("wine@trial", "wine", "trial")]),
        ("trial", ["wine@trial"], [], []),
        ("trial", [], ["wine@trial"], []),
        ("champion", [], [], []),  # the same version
        ("nobody", [], [], []),
        # No tag leads to another model.
        ("beer@trial", [], ["beer"], []),
        ("beer/2", [], ["beer"], []),
        ("models:/beer@trial", [], ["beer"], []),
    ],
)
def test_a_shadow_is_a_version_of_its_own_model_under_a_free_name(
    alias, others, registered, expected
):
    aliases = [Alias("champion", "1"), Alias("trial", "2")]
    models = {name: RegisteredModel(name, aliases=aliases) for name in ("wine", *registered)}
    entries = [Wanted("", name, "", "wine", "champion") for name in ("wine", *others)]
    asked = {entry.name: entry for entry in entries}
    targets = {
        name: Target(
            name, "1", "models:/wine/1", "1", "", {SHADOW: alias} if name == "wine" else {}
        )
        for name in asked
    }
    shadows = _shadows(asked, targets, models)
    assert [(one.name, one.model, one.alias) for one in shadows] == expected
