"""One node of an ONNX graph, as the rule of its operator sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_server.scoring.independence.values import (
    Dims,
    MixesError,
    Outputs,
    PerRow,
    Same,
    Shape,
    Value,
)

ACROSS = "works across the rows of a prediction"
COUNTS = "computes with the number of rows"
UNKNOWN = "has axes that are only known when it runs"


@dataclass
class Node:
    """An operator with its attributes and inputs, and what is known of its outputs."""

    attributes: dict[str, Any]
    inputs: list[Value | None]
    shapes: list[Shape]
    """Shapes of the outputs; None where unknown."""
    opset: int

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the operator, or its default."""
        return self.attributes.get(name, default)

    def input(self, at: int) -> Value | None:
        """An input by its position; None where it was left out."""
        return self.inputs[at] if at < len(self.inputs) else None

    def rows(self, at: int = 0) -> PerRow:
        """An input that has rows. Raises MixesError where it has none."""
        one = self.input(at)
        if not isinstance(one, PerRow):
            raise MixesError("gets no rows where it needs them")
        return one

    def constant(self, at: int, name: str = "") -> list[int] | None:
        """Integers of an input, or of an attribute in older versions; None where there is neither.
        Raises MixesError where they are only known when it runs."""
        if name and name in self.attributes:
            array = self.attributes[name]
        elif (one := self.input(at)) is None:
            return None
        elif isinstance(one, PerRow) or (array := one.array()) is None:
            raise MixesError(UNKNOWN)
        integers: list[int] = np.atleast_1d(array).tolist()
        return integers

    def integers(self, at: int, name: str = "") -> list[int]:
        """The same where they have to be there: raises MixesError where they are not."""
        integers = self.constant(at, name)
        if integers is None:
            raise MixesError(UNKNOWN)
        return integers

    def check_others(self, *rows: int) -> None:
        """Raises MixesError where another input than `rows` depends on them."""
        for at, one in enumerate(self.inputs):
            if at not in rows and (isinstance(one, PerRow) or has_counts(one)):
                raise MixesError("takes its parameters from the rows of a prediction")

    def out(self, axis: int, rank: int, at: int = 0) -> PerRow:
        """The output at a position, with rows along `axis` of its `rank` dimensions."""
        known = self.shapes[at] if at < len(self.shapes) else None
        return PerRow(axis, known if known is not None and len(known) == rank else (None,) * rank)

    def depends(self) -> bool:
        """Whether an input has rows, or their number."""
        return any(isinstance(one, PerRow) or has_counts(one) for one in self.inputs)

    def sames(self) -> list[Same]:
        """Outputs that do not depend on rows."""
        return [Same(shape) for shape in self.shapes]


Rule = Callable[[Node], Outputs]
"""Says what an operator makes of its inputs. Raises MixesError."""


def has_counts(one: Value | None) -> bool:
    """Whether the number of rows is in a value."""
    return isinstance(one, Dims) and one.has_rows


def or_same(rule: Rule) -> Rule:
    """`rule`, but that nothing that depends on rows gives nothing that does."""

    def rule_or_same(node: Node) -> Outputs:
        if not node.depends():
            return node.sames()
        if not any(isinstance(one, PerRow) for one in node.inputs):
            raise MixesError(COUNTS)
        return rule(node)

    return rule_or_same


def positive(axis: int, rank: int) -> int:
    """An axis counted from the first one."""
    return axis + rank if axis < 0 else axis


def is_one(shape: Shape) -> bool:
    """Whether a value of this shape is one number."""
    return shape is not None and all(size == 1 for size in shape)


def alike(node: Node) -> Outputs:
    """Outputs of the shape of the first input, by parameters that do not depend on rows."""
    one = node.rows()
    node.check_others(0)
    return [node.out(one.axis, one.rank, at) for at in range(max(1, len(node.shapes)))]
