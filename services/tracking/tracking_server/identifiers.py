"""One spelling for each experiment.

The backend store takes an id for the number that it is; permissions are found by the text of it.
For another spelling of the same number none would be found, and the default one would hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

EXPERIMENT = re.compile(r"0|[1-9][0-9]{0,17}")
"""As MLflow writes its ids, which are the names of folders; none that databases cannot count."""
ALL = "*"
OF_EXPERIMENTS = ("experiment", "scorer")
"""What `mlflow.server.auth` finds by an experiment's id, alone or before a slash."""


def keep(auth: ModuleType) -> None:
    """Let `mlflow.server.auth` look for no other spelling, whichever route asks: 400. All of its
    look-ups end in one function; a unit test fails where MLflow renames it."""
    from mlflow.exceptions import MlflowException

    find = auth.fold_grants_for_key

    def find_strictly(grants: Sequence[Any], key: Any) -> Any:
        if key.resource_type in OF_EXPERIMENTS and key.resource_id != ALL:
            given = key.resource_id
            experiment = given.partition("/")[0] if isinstance(given, str) else ""
            if not EXPERIMENT.fullmatch(experiment):
                raise MlflowException.invalid_parameter_value(
                    f"Invalid experiment id {given!r}: expected a number as text, as MLflow has it."
                )
        return find(grants, key)

    auth.fold_grants_for_key = find_strictly
