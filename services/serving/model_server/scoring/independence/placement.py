"""Rules of operators that move, choose or put together what there is of each row."""

from __future__ import annotations

from collections.abc import Callable

from model_server.scoring.independence.node import (
    ACROSS,
    Node,
    Rule,
    alike,
    has_counts,
    is_one,
    positive,
)
from model_server.scoring.independence.values import MixesError, Outputs, PerRow, Same, shape_of


def along(default: int, outputs: Callable[[Node, PerRow, int], Outputs] | None = None) -> Rule:
    """A rule for what works along one axis, which is not that of the rows."""

    def rule(node: Node) -> Outputs:
        one = node.rows()
        node.check_others(0)
        axis = positive(node.attribute("axis", default), one.rank)
        if axis == one.axis:
            raise MixesError(ACROSS)
        return outputs(node, one, axis) if outputs else alike(node)

    return rule


def from_axis(default: int) -> Rule:
    """A rule for what works over all axes from one on."""

    def rule(node: Node) -> Outputs:
        one = node.rows()
        node.check_others(0)
        if one.axis >= positive(node.attribute("axis", default), one.rank):
            raise MixesError(ACROSS)
        return [node.out(one.axis, one.rank, at) for at in range(len(node.shapes))]

    return rule


def without(node: Node, one: PerRow, axes: set[int], at: int = 0) -> PerRow:
    """An output that lacks these axes of the rows `one`."""
    axis = one.axis - sum(other < one.axis for other in axes)
    return node.out(axis, one.rank - len(axes), at)


def transpose(node: Node) -> Outputs:
    """Transpose."""
    one = node.rows()
    order = node.attribute("perm") or list(reversed(range(one.rank)))
    return [node.out(list(order).index(one.axis), one.rank)]


def flatten(node: Node) -> Outputs:
    """Flatten."""
    one = node.rows()
    if one.axis != 0 or positive(node.attribute("axis", 1), one.rank) == 0:
        raise MixesError(ACROSS)
    if node.attribute("axis", 1) != 1:
        raise MixesError("makes several rows of one")
    return [node.out(0, 2)]


def concat(node: Node) -> Outputs:
    """Concat."""
    one = next(one for one in node.inputs if isinstance(one, PerRow))
    if positive(node.attribute("axis"), one.rank) == one.axis:
        raise MixesError(ACROSS)
    for other in node.inputs:
        if not isinstance(other, PerRow) or (other.axis, other.rank) != (one.axis, one.rank):
            raise MixesError("puts something beside the rows that does not grow with them")
    return [node.out(one.axis, one.rank)]


def gather(node: Node) -> Outputs:
    """Gather."""
    data, indices = node.inputs
    depth, width = len(shape_of(data)), len(shape_of(indices))
    axis = positive(node.attribute("axis", 0), depth)
    rank = depth + width - 1
    if (
        has_counts(data)
        or has_counts(indices)
        or (isinstance(data, PerRow) and isinstance(indices, PerRow))
    ):
        raise MixesError("chooses rows by rows, which is not followed")
    if isinstance(indices, PerRow):  # out of a table
        return [node.out(axis + indices.axis, rank)]
    rows = node.rows()
    if axis == rows.axis:
        raise MixesError("chooses rows by their place in a prediction")
    shift = width - 1 if axis < rows.axis else 0
    return [node.out(rows.axis + shift, rank)]


def gather_elements(node: Node) -> Outputs:
    """GatherElements."""
    data, indices = node.rows(0), node.rows(1)
    if data.axis != indices.axis or positive(node.attribute("axis", 0), data.rank) == data.axis:
        raise MixesError(ACROSS)
    return [node.out(data.axis, data.rank)]


def sliced(node: Node) -> Outputs:
    """Slice, which may not choose among the rows."""
    one = node.rows()
    node.check_others(0)
    axes = node.constant(3, "axes") or list(range(one.rank))
    if one.axis in (at := [positive(axis, one.rank) for axis in axes]):
        starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
        steps = node.constant(4) or [1] * len(starts)
        for axis, start, end, step in zip(at, starts, ends, steps, strict=False):
            if axis == one.axis and (start != 0 or end < 2**31 - 1 or step != 1):
                raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def squeeze(node: Node) -> Outputs:
    """Squeeze."""
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        raise MixesError("drops the dimension of the rows where there is one")
    dropped = {positive(axis, one.rank) for axis in axes}
    if one.axis in dropped:
        raise MixesError("drops the dimension of the rows")
    return [without(node, one, dropped)]


def unsqueeze(node: Node) -> Outputs:
    """Unsqueeze."""
    one = node.rows()
    axes = node.integers(1, "axes")
    rank = one.rank + len(axes)
    new = {positive(axis, rank) for axis in axes}
    old = [at for at in range(rank) if at not in new]
    return [node.out(old[one.axis], rank)]


def pad(node: Node) -> Outputs:
    """Pad."""
    one = node.rows()
    node.check_others(0)
    pads = node.integers(1, "pads")
    axes = node.constant(3) or list(range(one.rank))
    at = [positive(axis, one.rank) for axis in axes]
    if one.axis in at and (pads[at.index(one.axis)] or pads[len(at) + at.index(one.axis)]):
        raise MixesError("puts rows beside the rows")
    return [node.out(one.axis, one.rank)]


def tile(node: Node) -> Outputs:
    """Tile."""
    one = node.rows()
    if node.integers(1)[one.axis] != 1:
        raise MixesError("repeats rows")
    return [node.out(one.axis, one.rank)]


def one_hot(node: Node) -> Outputs:
    """OneHot."""
    one = node.rows()
    node.check_others(0)
    axis = positive(node.attribute("axis", -1), one.rank + 1)
    return [node.out(one.axis + (axis <= one.axis), one.rank + 1)]


def trilu(node: Node) -> Outputs:
    """Trilu."""
    one = node.rows()
    if one.axis >= one.rank - 2:
        raise MixesError("treats rows by their place in a prediction")
    return alike(node)


def array_feature_extractor(node: Node) -> Outputs:
    """ArrayFeatureExtractor: chosen columns, or numbers out of a table."""
    data, indices = node.inputs
    if isinstance(indices, PerRow):
        is_table = isinstance(data, Same) and data.shape is not None and len(data.shape) == 1
        others = [size for at, size in enumerate(indices.shape or (2,)) if at != indices.axis]
        if not is_table or not is_one(tuple(others)):
            raise MixesError("chooses rows by rows, which is not followed")
        return [PerRow(1, (1, None))]
    one = node.rows()
    if one.axis == one.rank - 1:
        raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def features(node: Node) -> Outputs:
    """FeatureVectorizer."""
    for one in node.inputs:
        if not isinstance(one, PerRow) or one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
    return [node.out(0, 2)]


def maps(node: Node) -> Outputs:
    """ZipMap: a sequence, of one map a row."""
    if node.rows().axis != 0:
        raise MixesError(ACROSS)
    return [PerRow(0, (None,))]


def of_table(ranks: tuple[int, ...]) -> Rule:
    """A rule of ai.onnx.ml: [rows, features] to outputs of these ranks."""

    def rule(node: Node) -> Outputs:
        one = node.rows()
        if one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
        node.check_others(0)
        return [node.out(0, rank, at) for at, rank in enumerate(ranks)]

    return rule
