"""What becomes of sizes that a graph takes from the shapes of its rows, as exporters write it:
Shape, Gather, Concat, Reshape."""

from __future__ import annotations

from math import prod

import numpy as np

from model_server.scoring.independence.node import COUNTS, Node, Rule, has_counts
from model_server.scoring.independence.values import (
    ROWS,
    Dims,
    MixesError,
    Outputs,
    PerRow,
    Same,
    Sizes,
    Value,
    shape_of,
)


def or_sizes(name: str, rule: Rule) -> Rule:
    """`rule`, and another one for operators on sizes alone."""
    own = _OF_SIZES.get(name)
    if own is None:
        return rule

    def rule_or_sizes(node: Node) -> Outputs:
        is_sizes = any(isinstance(one, Dims) for one in node.inputs)
        if is_sizes and not any(isinstance(one, PerRow) for one in node.inputs):
            if name in _OF_FIRST and not isinstance(node.inputs[0], Dims):
                return _unless_counting(node)
            return own(node)
        return rule(node)

    return rule_or_sizes


def taken(node: Node) -> Outputs:
    """Shape."""
    one = node.inputs[0]
    sizes: list[int | str | None] = list(shape_of(one))
    if isinstance(one, PerRow):
        sizes[one.axis] = ROWS
    start, end = node.attribute("start", 0), node.attribute("end")
    return [Dims(tuple(sizes[start:end]))]


def filled(node: Node) -> Outputs:
    """ConstantOfShape."""
    return [_of(_sizes(node.inputs[0]))]


def counted(node: Node) -> Outputs:
    """Range."""
    if node.depends():
        raise MixesError(COUNTS)
    return [Same((None,))]


def expanded(node: Node) -> Outputs:
    """Expand."""
    one, sizes = node.inputs[0], _sizes(node.inputs[1])
    own = shape_of(one)
    if has_counts(one):
        raise MixesError("gets a value of unknown rank")
    rank = max(len(own), len(sizes))
    sizes = (1,) * (rank - len(sizes)) + sizes
    if isinstance(one, PerRow):
        axis = rank + one.axis - one.rank
        if sizes[axis] not in (1, ROWS) or ROWS in (*sizes[:axis], *sizes[axis + 1 :]):
            raise MixesError("repeats rows")
        return [PerRow(axis, (None,) * rank)]
    result = _of(sizes)
    if isinstance(result, PerRow):
        shape = (1,) * (rank - len(own)) + own
        if shape[result.axis] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [result]


def reshaped(node: Node) -> Outputs:
    """Reshape: the rows stay where nothing but ones is before them."""
    one, sizes = node.inputs[0], _sizes(node.inputs[1])
    if isinstance(one, Dims):
        return [one if len(sizes) == 1 else Same(None)] if not one.has_rows else _counts()
    if isinstance(one, Same):
        return [_of(sizes)] if ROWS not in sizes else _counts()
    rows = node.rows()
    own = shape_of(rows)
    if any(size != 1 for size in own[: rows.axis]):
        return _reordered(rows, sizes)
    inner = own[rows.axis + 1 :]
    axis = next((at for at, size in enumerate(sizes) if size != 1), None)
    if axis is None:
        raise MixesError("makes one row of all")
    size, rest = sizes[axis], sizes[axis + 1 :]
    copies = size == 0 and axis == rows.axis and not node.attribute("allowzero", 0)
    widths = _all_known(inner), _all_known(rest)
    fits = size == -1 and widths[0] == widths[1] is not None
    if not (copies or size == ROWS or fits) or ROWS in rest:
        raise MixesError("puts rows into a shape that need not keep them apart")
    shape = (None,) * (axis + 1) + _shape(rest)
    known = node.shapes[0]
    return [
        PerRow(axis, known if known and len(known) == len(sizes) else (1,) * axis + shape[axis:])
    ]


def _all_known(sizes: Sizes) -> int | None:
    """The product of sizes that are all known."""
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    return prod(known) if len(known) == len(sizes) else None


def _reordered(one: PerRow, sizes: Sizes) -> Outputs:
    """Reshape that leaves what is before the rows as it is."""
    before = shape_of(one)[: one.axis]
    at = one.axis
    is_same = len(sizes) > at and all(
        size in (0, known) for size, known in zip(sizes, before, strict=False)
    )
    if not is_same or sizes[at] not in (0, ROWS) or ROWS in sizes[at + 1 :]:
        raise MixesError("puts rows into a shape that need not keep them apart")
    return [PerRow(at, (*before, *(None,) * (len(sizes) - at)))]


def _counts() -> Outputs:
    raise MixesError(COUNTS)


def _sizes(one: Value | None) -> Sizes:
    if isinstance(one, Dims):
        return one.sizes
    if isinstance(one, Same) and one.value is not None:
        return tuple(np.atleast_1d(one.value).tolist())
    if isinstance(one, Same) and one.shape is not None and len(one.shape) == 1 and one.shape[0]:
        return (None,) * one.shape[0]
    raise MixesError("makes a shape of what is not known")


def _shape(sizes: Sizes) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else None for size in sizes)


def _of(sizes: Sizes) -> PerRow | Same:
    """A value of this shape that is equal for every row."""
    shape = _shape(sizes)
    if ROWS not in sizes:
        return Same(shape)
    if sizes.count(ROWS) > 1:
        raise MixesError("sets rows against rows, and works across the rows of a prediction")
    return PerRow(sizes.index(ROWS), shape)


def _dims(node: Node) -> Dims:
    """The first input, of which it is known that it is sizes."""
    (first, *_) = node.inputs
    if not isinstance(first, Dims):
        raise MixesError(COUNTS)
    return first


def _kept(node: Node) -> Outputs:
    return [_dims(node)]


def _gathered(node: Node) -> Outputs:
    indices = node.input(1)
    if not isinstance(indices, Same) or indices.value is None:
        return _unless_counting(node)
    chosen = np.atleast_1d(indices.value)
    if chosen.ndim > 1:
        return _unless_counting(node)
    return [Dims(tuple(_dims(node).sizes[at] for at in chosen), is_scalar=indices.value.ndim == 0)]


def _concatenated(node: Node) -> Outputs:
    return [Dims(tuple(size for one in node.inputs for size in _sizes(one)))]


def _sliced(node: Node) -> Outputs:
    starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
    step = (node.constant(4) or [1])[0]
    return [Dims(_dims(node).sizes[starts[0] : ends[0] : step])]


def _squeezed(node: Node) -> Outputs:
    sizes = _dims(node).sizes
    return [Dims(sizes, is_scalar=len(sizes) == 1)]


def _unsqueezed(node: Node) -> Outputs:
    one = _dims(node)
    return [Dims(one.sizes)] if one.is_scalar else _unless_counting(node)


def _equal(node: Node) -> Outputs:
    """Equal: a number of rows is never negative."""
    left, right = map(_sizes, node.inputs)
    if len(left) != len(right):
        return _unless_counting(node)
    equal: list[int] = []
    for one, other in zip(left, right, strict=True):
        known = [size for size in (one, other) if isinstance(size, int)]
        if len(known) == 2:
            equal.append(int(one == other))
        elif known and known[0] < 0:
            equal.append(0)
        else:
            return _unless_counting(node)
    return [Dims(tuple(equal), _are_scalars(node))]


def _where(node: Node) -> Outputs:
    conditions, yes, no = map(_sizes, node.inputs)
    if not len(conditions) == len(yes) == len(no) or None in conditions:
        return _unless_counting(node)
    return [Dims(tuple(a if is_ else b for is_, a, b in zip(conditions, yes, no, strict=True)))]


def _multiplied(node: Node) -> Outputs:
    left, right = map(_sizes, node.inputs)
    if len(left) == len(right) == 1:
        both = {left[0], right[0]}
        if both == {1, ROWS} or both == {1, None}:
            (other,) = both - {1}
            return [Dims((other,), _are_scalars(node))]
    return _unless_counting(node)


def _are_scalars(node: Node) -> bool:
    return all(one is not None and not one.shape for one in node.inputs)


def _unless_counting(node: Node) -> Outputs:
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
