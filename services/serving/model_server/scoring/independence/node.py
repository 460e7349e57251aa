"""One node of an ONNX graph, as the rule of its operator sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_server.scoring.independence.values import Dims, MixesError, Rows, Same, Shape, Value

ACROSS = "works across the rows of a prediction"
COUNTS = "computes with the number of rows"
UNKNOWN = "has axes that are only known when it runs"


@dataclass
class Node:
    attributes: dict
    inputs: list[Value | None]
    shapes: list[Shape]
    """Of the outputs, where they are known."""
    opset: int

    def attribute(self, name: str, default: object = None) -> object:
        return self.attributes.get(name, default)

    def input(self, at: int) -> Value | None:
        return self.inputs[at] if at < len(self.inputs) else None

    def rows(self, at: int = 0) -> Rows:
        """Raises MixesError where that input has no rows."""
        found = self.input(at)
        if not isinstance(found, Rows):
            raise MixesError("gets no rows where it needs them")
        return found

    def constant(self, at: int, name: str = "") -> list[int] | None:
        """Of an input, or of an attribute in older versions; None where there is neither."""
        if name and name in self.attributes:
            return np.atleast_1d(self.attributes[name]).tolist()
        if (found := self.input(at)) is None:
            return None
        if isinstance(found, Rows) or (array := found.array()) is None:
            raise MixesError(UNKNOWN)
        return np.atleast_1d(array).tolist()

    def check_others(self, *rows: int) -> None:
        """Raises MixesError where another input than `rows` depends on them."""
        for at, one in enumerate(self.inputs):
            if at not in rows and (isinstance(one, Rows) or has_counts(one)):
                raise MixesError("takes its parameters from the rows of a prediction")

    def out(self, axis: int, rank: int, at: int = 0) -> Rows:
        known = self.shapes[at] if at < len(self.shapes) else None
        return Rows(axis, known if known is not None and len(known) == rank else (None,) * rank)

    def depends(self) -> bool:
        return any(isinstance(one, Rows) or has_counts(one) for one in self.inputs)

    def sames(self) -> list[Same]:
        return [Same(shape) for shape in self.shapes]


Rule = Callable[[Node], list]


def has_counts(one: Value | None) -> bool:
    return isinstance(one, Dims) and one.has_rows


def or_same(rule: Rule) -> Rule:
    """Nothing that depends on rows gives nothing that does."""

    def found(node: Node) -> list:
        if not node.depends():
            return node.sames()
        if not any(isinstance(one, Rows) for one in node.inputs):
            raise MixesError(COUNTS)
        return rule(node)

    return found


def positive(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


def is_one(shape: Shape) -> bool:
    return shape is not None and all(size == 1 for size in shape)


def alike(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    return [node.out(one.axis, one.rank, at) for at in range(max(1, len(node.shapes)))]
