"""What becomes of sizes that a graph takes from the shapes of its rows, as exporters write it:
Shape, Gather, Concat, Reshape."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from model_server.scoring.independence.node import COUNTS, has_counts
from model_server.scoring.independence.values import ROWS, Dims, MixesError, Rows, Same

if TYPE_CHECKING:
    from model_server.scoring.independence.node import Node


def or_sizes(name: str, rule: Callable) -> Callable:
    """`rule`, but for operators on sizes alone."""
    own = _OF_SIZES.get(name)
    if own is None:
        return rule

    def found(node: Node) -> list:
        is_sizes = any(isinstance(one, Dims) for one in node.inputs)
        if is_sizes and not any(isinstance(one, Rows) for one in node.inputs):
            if name in _OF_FIRST and not isinstance(node.inputs[0], Dims):
                return _unless_counting(node)
            return own(node)
        return rule(node)

    return found


def taken(node: Node) -> list:
    """Shape."""
    one = node.inputs[0]
    if one.shape is None:
        raise MixesError("gets a value of unknown rank")
    sizes = list(one.shape)
    if isinstance(one, Rows):
        sizes[one.axis] = ROWS
    start, end = node.attribute("start", 0), node.attribute("end")
    return [Dims(tuple(sizes[start:end]))]


def filled(node: Node) -> list:
    """ConstantOfShape."""
    return [_of(_sizes(node.inputs[0]))]


def counted(node: Node) -> list:
    """Range."""
    if node.depends():
        raise MixesError(COUNTS)
    return [Same((None,))]


def expanded(node: Node) -> list:
    """Expand."""
    one, sizes = node.inputs[0], _sizes(node.inputs[1])
    if one.shape is None or (isinstance(one, Dims) and one.has_rows):
        raise MixesError("gets a value of unknown rank")
    rank = max(len(one.shape), len(sizes))
    sizes = (1,) * (rank - len(sizes)) + tuple(sizes)
    if isinstance(one, Rows):
        axis = rank + one.axis - one.rank
        if sizes[axis] not in (1, ROWS) or ROWS in (*sizes[:axis], *sizes[axis + 1 :]):
            raise MixesError("repeats rows")
        return [Rows(axis, (None,) * rank)]
    found = _of(sizes)
    if isinstance(found, Rows):
        shape = (1,) * (rank - len(one.shape)) + tuple(one.shape)
        if shape[found.axis] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [found]


def reshaped(node: Node) -> list:
    """Reshape: the rows stay where nothing but ones is before them."""
    one, sizes = node.inputs[0], _sizes(node.inputs[1])
    if isinstance(one, Dims):
        return [one if len(sizes) == 1 else Same(None)] if not one.has_rows else _counts()
    if isinstance(one, Same):
        return [_of(sizes)] if ROWS not in sizes else _counts()
    if one.rank and any(size != 1 for size in one.shape[: one.axis]):
        return _reordered(one, sizes)
    inner = one.shape[one.axis + 1 :]
    axis = next((at for at, size in enumerate(sizes) if size != 1), None)
    if axis is None:
        raise MixesError("makes one row of all")
    size, rest = sizes[axis], sizes[axis + 1 :]
    copies = size == 0 and axis == one.axis and not node.attribute("allowzero", 0)
    fits = (
        size == -1
        and all(isinstance(other, int) and other > 0 for other in (*inner, *rest))
        and prod(inner) == prod(rest)
    )
    if not (copies or size == ROWS or fits) or ROWS in rest:
        raise MixesError("puts rows into a shape that need not keep them apart")
    shape = (None,) * (axis + 1) + tuple(
        other if isinstance(other, int) and other > 0 else None for other in rest
    )
    known = node.shapes[0]
    return [Rows(axis, known if known and len(known) == len(sizes) else (1,) * axis + shape[axis:])]


def _reordered(one: Rows, sizes: tuple) -> list:
    """What is before the rows stays as it is."""
    before = one.shape[: one.axis]
    at = one.axis
    is_same = len(sizes) > at and all(
        size in (0, known) for size, known in zip(sizes, before, strict=False)
    )
    if not is_same or sizes[at] not in (0, ROWS) or ROWS in sizes[at + 1 :]:
        raise MixesError("puts rows into a shape that need not keep them apart")
    return [Rows(at, (*before, *(None,) * (len(sizes) - at)))]


def _counts() -> list:
    raise MixesError(COUNTS)


def _sizes(one: object) -> tuple:
    if isinstance(one, Dims):
        return one.sizes
    if isinstance(one, Same) and one.value is not None:
        return tuple(np.atleast_1d(one.value).tolist())
    if isinstance(one, Same) and one.shape is not None and len(one.shape) == 1 and one.shape[0]:
        return (None,) * one.shape[0]
    raise MixesError("makes a shape of what is not known")


def _of(sizes: tuple) -> Rows | Same:
    """Of this shape, and equal for every row."""
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in sizes)
    if ROWS not in sizes:
        return Same(shape)
    if sizes.count(ROWS) > 1:
        raise MixesError("sets rows against rows, and works across the rows of a prediction")
    return Rows(sizes.index(ROWS), shape)


def _kept(node: Node) -> list:
    return [node.inputs[0]]


def _gathered(node: Node) -> list:
    data, indices = node.inputs
    if isinstance(indices, Dims) or indices.value is None:
        return _unless_counting(node)
    chosen = np.atleast_1d(indices.value)
    if chosen.ndim > 1:
        return _unless_counting(node)
    return [Dims(tuple(data.sizes[at] for at in chosen), is_scalar=indices.value.ndim == 0)]


def _concatenated(node: Node) -> list:
    sizes: list = []
    for one in node.inputs:
        sizes += _sizes(one)
    return [Dims(tuple(sizes))]


def _sliced(node: Node) -> list:
    starts, ends = node.constant(1, "starts"), node.constant(2, "ends")
    step = (node.constant(4) or [1])[0]
    return [Dims(node.inputs[0].sizes[starts[0] : ends[0] : step])]


def _squeezed(node: Node) -> list:
    return [Dims(node.inputs[0].sizes, is_scalar=len(node.inputs[0].sizes) == 1)]


def _unsqueezed(node: Node) -> list:
    return [Dims(node.inputs[0].sizes)] if node.inputs[0].is_scalar else _unless_counting(node)


def _equal(node: Node) -> list:
    """A number of rows is never negative."""
    left, right = map(_sizes, node.inputs)
    if len(left) != len(right):
        return _unless_counting(node)
    found = []
    for one, other in zip(left, right, strict=True):
        known = [size for size in (one, other) if isinstance(size, int)]
        if len(known) == 2:
            found.append(int(one == other))
        elif known and known[0] < 0:
            found.append(0)
        else:
            return _unless_counting(node)
    return [Dims(tuple(found), all(not one.shape for one in node.inputs))]


def _where(node: Node) -> list:
    conditions, yes, no = map(_sizes, node.inputs)
    if not len(conditions) == len(yes) == len(no) or None in conditions:
        return _unless_counting(node)
    return [Dims(tuple(a if is_ else b for is_, a, b in zip(conditions, yes, no, strict=True)))]


def _multiplied(node: Node) -> list:
    left, right = map(_sizes, node.inputs)
    if len(left) == len(right) == 1:
        both = {left[0], right[0]}
        if both == {1, ROWS} or both == {1, None}:
            (other,) = both - {1}
            return [Dims((other,), all(not one.shape for one in node.inputs))]
    return _unless_counting(node)


def _unless_counting(node: Node) -> list:
    if any(map(has_counts, node.inputs)):
        raise MixesError(COUNTS)
    return node.sames()


_OF_FIRST = {"Cast", "Gather", "Identity", "Slice", "Squeeze", "Unsqueeze"}
_OF_SIZES = {
    "Cast": _kept,
    "Identity": _kept,
    "Gather": _gathered,
    "Concat": _concatenated,
    "Slice": _sliced,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Equal": _equal,
    "Where": _where,
    "Mul": _multiplied,
}
