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
from model_server.scoring.independence.values import MixesError, Rows, Same


def along(default: int, outputs: Callable[[Node, Rows, int], list] | None = None) -> Rule:
    """Along one axis, which is not that of the rows."""

    def found(node: Node) -> list:
        one = node.rows()
        node.check_others(0)
        axis = positive(node.attribute("axis", default), one.rank)
        if axis == one.axis:
            raise MixesError(ACROSS)
        return outputs(node, one, axis) if outputs else alike(node)

    return found


def from_axis(default: int) -> Rule:
    """Over all axes from one on."""

    def found(node: Node) -> list:
        one = node.rows()
        node.check_others(0)
        if one.axis >= positive(node.attribute("axis", default), one.rank):
            raise MixesError(ACROSS)
        return [node.out(one.axis, one.rank, at) for at in range(len(node.shapes))]

    return found


def without(node: Node, one: Rows, axes: set[int], at: int = 0) -> Rows:
    axis = one.axis - sum(other < one.axis for other in axes)
    return node.out(axis, one.rank - len(axes), at)


def transpose(node: Node) -> list:
    one = node.rows()
    order = node.attribute("perm") or list(reversed(range(one.rank)))
    return [node.out(list(order).index(one.axis), one.rank)]


def flatten(node: Node) -> list:
    one = node.rows()
    if one.axis != 0 or positive(node.attribute("axis", 1), one.rank) == 0:
        raise MixesError(ACROSS)
    if node.attribute("axis", 1) != 1:
        raise MixesError("makes several rows of one")
    return [node.out(0, 2)]


def concat(node: Node) -> list:
    one = next(one for one in node.inputs if isinstance(one, Rows))
    if positive(node.attribute("axis"), one.rank) == one.axis:
        raise MixesError(ACROSS)
    for other in node.inputs:
        if not isinstance(other, Rows) or (other.axis, other.rank) != (one.axis, one.rank):
            raise MixesError("puts something beside the rows that does not grow with them")
    return [node.out(one.axis, one.rank)]


def gather(node: Node) -> list:
    data, indices = node.inputs
    if data.shape is None or indices.shape is None:
        raise MixesError("gets a value of unknown rank")
    axis = positive(node.attribute("axis", 0), len(data.shape))
    rank = len(data.shape) + len(indices.shape) - 1
    if (
        has_counts(data)
        or has_counts(indices)
        or (isinstance(data, Rows) and isinstance(indices, Rows))
    ):
        raise MixesError("chooses rows by rows, which is not followed")
    if isinstance(indices, Rows):  # out of a table
        return [node.out(axis + indices.axis, rank)]
    if axis == data.axis:
        raise MixesError("chooses rows by their place in a prediction")
    shift = len(indices.shape) - 1 if axis < data.axis else 0
    return [node.out(data.axis + shift, rank)]


def gather_elements(node: Node) -> list:
    data, indices = node.rows(0), node.rows(1)
    if data.axis != indices.axis or positive(node.attribute("axis", 0), data.rank) == data.axis:
        raise MixesError(ACROSS)
    return [node.out(data.axis, data.rank)]


def sliced(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    axes = node.constant(3, "axes") or list(range(one.rank))
    if one.axis in (at := [positive(axis, one.rank) for axis in axes]):
        starts, ends = node.constant(1, "starts"), node.constant(2, "ends")
        given = zip(at, starts, ends, node.constant(4) or [1] * len(starts), strict=False)
        for axis, start, end, step in given:
            if axis == one.axis and (start != 0 or end < 2**31 - 1 or step != 1):
                raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def squeeze(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        raise MixesError("drops the dimension of the rows where there is one")
    axes = {positive(axis, one.rank) for axis in axes}
    if one.axis in axes:
        raise MixesError("drops the dimension of the rows")
    return [without(node, one, axes)]


def unsqueeze(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    rank = one.rank + len(axes)
    new = {positive(axis, rank) for axis in axes}
    old = [at for at in range(rank) if at not in new]
    return [node.out(old[one.axis], rank)]


def pad(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    pads = node.constant(1, "pads")
    axes = node.constant(3) or list(range(one.rank))
    at = [positive(axis, one.rank) for axis in axes]
    if one.axis in at and (pads[at.index(one.axis)] or pads[len(at) + at.index(one.axis)]):
        raise MixesError("puts rows beside the rows")
    return [node.out(one.axis, one.rank)]


def tile(node: Node) -> list:
    one = node.rows()
    if node.constant(1)[one.axis] != 1:
        raise MixesError("repeats rows")
    return [node.out(one.axis, one.rank)]


def one_hot(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    axis = positive(node.attribute("axis", -1), one.rank + 1)
    return [node.out(one.axis + (axis <= one.axis), one.rank + 1)]


def trilu(node: Node) -> list:
    one = node.rows()
    if one.axis >= one.rank - 2:
        raise MixesError("treats rows by their place in a prediction")
    return alike(node)


def array_feature_extractor(node: Node) -> list:
    data, indices = node.inputs
    if isinstance(indices, Rows):
        is_table = isinstance(data, Same) and data.shape is not None and len(data.shape) == 1
        others = [size for at, size in enumerate(indices.shape or (2,)) if at != indices.axis]
        if not is_table or not is_one(tuple(others)):
            raise MixesError("chooses rows by rows, which is not followed")
        return [Rows(1, (1, None))]
    one = node.rows()
    if one.axis == one.rank - 1:
        raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def features(node: Node) -> list:
    """FeatureVectorizer."""
    for one in node.inputs:
        if not isinstance(one, Rows) or one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
    return [node.out(0, 2)]


def maps(node: Node) -> list:
    """ZipMap: a sequence, of one map a row."""
    if node.rows().axis != 0:
        raise MixesError(ACROSS)
    return [Rows(0, (None,))]


def of_table(ranks: tuple[int, ...]) -> Rule:
    """Of ai.onnx.ml: [rows, features] to outputs of these ranks."""

    def found(node: Node) -> list:
        one = node.rows()
        if one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
        node.check_others(0)
        return [node.out(0, rank, at) for at, rank in enumerate(ranks)]

    return found
