"""One spelling for each experiment.

The backend store takes an id for the number that it is; permissions are found by the text of it.
For another spelling of the same number none would be found, and the default one would hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from mlflow.exceptions import MlflowException

EXPERIMENT = re.compile(r"0|[1-9][0-9]{0,17}")
"""The form in which MLflow writes ids, the names of folders; none that databases cannot count."""
ALL = "*"
OF_EXPERIMENTS = ("experiment", "scorer")
"""What `mlflow.server.auth` finds by an experiment's id, alone or before a slash."""


def strict(find: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse to look for another spelling, whichever route asks: 400. All look-ups of
    `mlflow.server.auth` end in this function."""

    def find_strictly(grants: Sequence[Any], key: Any) -> Any:
        if key.resource_type in OF_EXPERIMENTS and key.resource_id != ALL:
            asked = key.resource_id
            experiment = asked.partition("/")[0] if isinstance(asked, str) else ""
            if not EXPERIMENT.fullmatch(experiment):
                raise MlflowException.invalid_parameter_value(
                    f"Invalid experiment id {asked!r}: expected a number as text, as MLflow has it."
                )
        return find(grants, key)

    return find_strictly
