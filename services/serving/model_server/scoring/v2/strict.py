"""Refuses tensors whose values would silently change, where `serving.strict` says so: rounded
integers and zones. All other changes are refused by the protocol's reader itself."""

from __future__ import annotations

import numpy as np
from mlflow.models import Model
from mlflow.types import DataType

from model_server.scoring.changes import check_value
from model_server.scoring.v2.tensors import Tensor, read


class StrictTensors:
    """Check of the requests of one model."""

    def __init__(self, metadata: Model) -> None:
        schema = metadata.get_input_schema()
        specs = schema.inputs if schema else []
        self._is_tensor = bool(specs) and schema.is_tensor_spec()
        self._is_named = bool(specs) and schema.has_input_names()
        self._kinds = {
            spec.name if self._is_named else at: spec.type for at, spec in enumerate(specs)
        }

    def check(self, tensors: list[Tensor]) -> None:
        """Raises RefusedError: 400 for a value that would change, 422 for what cannot be read."""
        kinds = list(self._kinds.values())
        for position, tensor in enumerate(tensors):
            name = next((one for one in self._kinds if str(one) == tensor.name), tensor.name)
            key = name if self._is_named else 0 if self._is_tensor else position
            is_block = key not in self._kinds or tensor.shape[1:] == [len(kinds)] != [1]
            own = kinds if is_block and not self._is_tensor else [self._kinds.get(key)]
            if not any(_may_change(tensor, kind) for kind in own):
                continue
            for at, row in enumerate(read(tensor)):
                for column, value in enumerate(np.ravel(row).tolist()):
                    kind = own[column % len(own)]
                    if _may_change(tensor, kind):
                        check_value(value, kind, tensor.name, at, in_frame=True)


def _may_change(tensor: Tensor, kind: object) -> bool:
    """Whether its reader converts integers to floats there, or times to UTC."""
    if isinstance(kind, DataType):
        kind = kind.to_numpy()
    if not isinstance(kind, np.dtype):
        return False
    letter = {"I": "f", "U": "f", "B": "M"}.get(tensor.datatype[:1])
    return kind.kind == letter and tensor.datatype != "BOOL"
