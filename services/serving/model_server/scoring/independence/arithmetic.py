"""Rules of operators that compute."""

from __future__ import annotations

from model_server.scoring.independence.node import (
    ACROSS,
    COUNTS,
    Node,
    Rule,
    alike,
    has_counts,
    is_one,
    positive,
)
from model_server.scoring.independence.placement import along, without
from model_server.scoring.independence.values import Dims, MixesError, Rows, Same


def broadcast(node: Node) -> list:
    """Of each number, and of those at the same place in the other inputs."""
    offset, rank = None, 0
    for one in node.inputs:
        if has_counts(one):
            raise MixesError(COUNTS)
        if one is None:
            continue
        if one.shape is None:
            raise MixesError("gets a value of unknown rank")
        rank = max(rank, len(one.shape))
        if isinstance(one, Rows):
            if offset not in (None, one.axis - one.rank):
                raise MixesError(f"sets rows against rows, and {ACROSS}")
            offset = one.axis - one.rank
    for one in node.inputs:
        if isinstance(one, Same | Dims) and len(one.shape) >= -offset and one.shape[offset] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(rank + offset, rank, at) for at in range(max(1, len(node.shapes)))]


def rowwise(node: Node) -> list:
    """Along the first axis, by parameters that do not depend on rows."""
    one = node.rows()
    node.check_others(0)
    if one.axis != 0:
        raise MixesError(ACROSS)
    return [Rows(0, shape) for shape in node.shapes]


def max_pool(node: Node) -> list:
    if len(node.shapes) > 1:
        raise MixesError("counts its indices over all rows of a prediction")
    return rowwise(node)


def softmax(node: Node) -> list:
    one = node.rows()
    if node.opset < 13:  # all dimensions from `axis` on, as one
        if one.axis >= positive(node.attribute("axis", 1), one.rank):
            raise MixesError(ACROSS)
        return alike(node)
    return along(-1)(node)


def reduce(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return alike(node)
        raise MixesError(ACROSS)
    axes = {positive(axis, one.rank) for axis in axes}
    if one.axis in axes:
        raise MixesError(ACROSS)
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [without(node, one, axes)]


def arg(node: Node, one: Rows, axis: int) -> list:
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [without(node, one, {axis})]


def cumsum(node: Node) -> list:
    one = node.rows()
    if one.axis in {positive(axis, one.rank) for axis in node.constant(1)}:
        raise MixesError(ACROSS)
    return alike(node)


def matmul(node: Node, at: tuple[int, int] = (0, 1)) -> list:
    left, right = (node.input(one) for one in at)
    node.check_others(*at)
    if left is None or right is None or left.shape is None or right.shape is None:
        raise MixesError("gets a value of unknown rank")
    rank = max(len(left.shape), len(right.shape))
    offsets = set()
    for one, kept in ((left, -2), (right, -1)):
        if has_counts(one):
            raise MixesError(COUNTS)
        if isinstance(one, Rows):
            offset = one.axis - one.rank
            if one.rank < 2 or (offset >= -2 and offset != kept):
                raise MixesError(f"adds up over rows, and {ACROSS}")
            offsets.add(offset)
    if len(offsets) > 1 or (
        offsets & {-1, -2} and isinstance(left, Rows) and isinstance(right, Rows)
    ):
        raise MixesError(f"sets rows against rows, and {ACROSS}")
    (offset,) = offsets
    if min(len(left.shape), len(right.shape)) < 2:
        if len(right.shape) == 1:
            return [node.out(left.axis, left.rank - 1)]
        raise MixesError("multiplies a vector, which is not followed")
    for one in (left, right):
        if (
            isinstance(one, Same)
            and offset < -2
            and len(one.shape) >= -offset
            and one.shape[offset] != 1
        ):
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(rank + offset, rank)]


def gemm(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    if one.rank != 2 or one.axis != (1 if node.attribute("transA", 0) else 0):
        raise MixesError(f"adds up over rows, and {ACROSS}")
    third = node.input(2)
    if third is not None:
        if third.shape is None:
            raise MixesError("gets a value of unknown rank")
        if len(third.shape) == 2 and third.shape[0] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(0, 2)]


def normalised(node: Node) -> list:
    """BatchNormalization."""
    is_training = (
        node.attribute("training_mode", 0)
        or len(node.shapes) > 1
        or (node.opset < 7 and not node.attribute("is_test", 0))
    )
    if is_training:
        raise MixesError("is in training mode, and takes mean and variance of all rows")
    return rowwise(node)


def dropout(node: Node) -> list:
    training = node.constant(2)
    if (training and training[0]) or (node.opset < 7 and not node.attribute("is_test", 0)):
        raise MixesError("is in training mode, and draws random numbers")
    return alike(node)


def quantize(node: Node) -> list:
    one, scale = node.rows(), node.input(1)
    node.check_others(0)
    if scale.shape is None:
        raise MixesError("has a scale of unknown shape")
    if not is_one(scale.shape) and positive(node.attribute("axis", 1), one.rank) == one.axis:
        raise MixesError("treats rows by their place in a prediction")
    return alike(node)


def quantized_matmul(first: int, second: int) -> Rule:
    def found(node: Node) -> list:
        for at, one in enumerate(node.inputs):
            if at not in (first, second) and isinstance(one, Rows):
                raise MixesError("takes its scale from the rows of a prediction")
            of_rows = (1, 2, 6, 7) if second == 3 else (2,)
            if at in of_rows and one is not None and not is_one(one.shape):
                raise MixesError("treats rows by their place in a prediction")
        return matmul(node, (first, second))

    return found


def recurrent(node: Node) -> list:
    """RNN, GRU and LSTM: rows are the second dimension, but for layout 1."""
    first = 0 if node.attribute("layout", 0) else 1
    for at in (0, 4, 5, 6):
        one = node.input(at)
        if (isinstance(one, Rows) or at == 0) and node.rows(at).axis != (0 if at == 4 else first):
            raise MixesError(ACROSS)
        if isinstance(one, Same) and at:
            raise MixesError("has states that do not grow with the rows")
    node.check_others(0, 4, 5, 6)
    return [
        node.out((0 if first == 0 else 2 if at == 0 else 1), 4 if at == 0 else 3, at)
        for at in range(len(node.shapes))
    ]


def einsum(node: Node) -> list:
    """Rows have a letter of their own, which is in the result."""
    equation = node.attribute("equation").decode().replace(" ", "")
    terms, arrow, result = equation.partition("->")
    letters = set()
    for term, one in zip(terms.split(","), node.inputs, strict=True):
        if isinstance(one, Rows):
            letters |= {term[one.axis] if len(term) == one.rank else ""}
    (letter,) = letters if len(letters) == 1 else ("",)
    pairs = zip(terms.split(","), node.inputs, strict=True)
    is_clear = "." not in equation and arrow and letter and result.count(letter) == 1
    if not is_clear or any(
        term.count(letter) != (1 if isinstance(one, Rows) else 0) for term, one in pairs
    ):
        raise MixesError(ACROSS)
    return [node.out(result.index(letter), len(result))]
