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
from model_server.scoring.independence.values import (
    Dims,
    MixesError,
    Outputs,
    PerRow,
    Same,
    shape_of,
)


def broadcast(node: Node) -> Outputs:
    """Functions of each number and of those at the same place in the other inputs."""
    if any(map(has_counts, node.inputs)):
        raise MixesError(COUNTS)
    rank = max(len(shape_of(one)) for one in node.inputs if one is not None)
    offsets = {one.axis - one.rank for one in node.inputs if isinstance(one, PerRow)}
    if len(offsets) > 1:
        raise MixesError(f"sets rows against rows, and {ACROSS}")
    (offset,) = offsets
    for one in node.inputs:
        if isinstance(one, Same | Dims) and _has_rows_place(shape_of(one), offset):
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(rank + offset, rank, at) for at in range(max(1, len(node.shapes)))]


def _has_rows_place(shape: tuple[int | None, ...], offset: int) -> bool:
    """Whether there is more than one number where another input has its rows."""
    return len(shape) >= -offset and shape[offset] != 1


def rowwise(node: Node) -> Outputs:
    """Functions of the parts along the first axis, by parameters that do not depend on rows."""
    one = node.rows()
    node.check_others(0)
    if one.axis != 0:
        raise MixesError(ACROSS)
    return [PerRow(0, shape) for shape in node.shapes]


def max_pool(node: Node) -> Outputs:
    """MaxPool, unless it is asked for indices."""
    if len(node.shapes) > 1:
        raise MixesError("counts its indices over all rows of a prediction")
    return rowwise(node)


def softmax(node: Node) -> Outputs:
    """Softmax, LogSoftmax and Hardmax."""
    one = node.rows()
    if node.opset < 13:  # all dimensions from `axis` on, as one
        if one.axis >= positive(node.attribute("axis", 1), one.rank):
            raise MixesError(ACROSS)
        return alike(node)
    return along(-1)(node)


def reduce(node: Node) -> Outputs:
    """ReduceSum and the like."""
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return alike(node)
        raise MixesError(ACROSS)
    reduced = {positive(axis, one.rank) for axis in axes}
    if one.axis in reduced:
        raise MixesError(ACROSS)
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [without(node, one, reduced)]


def arg(node: Node, one: PerRow, axis: int) -> Outputs:
    """ArgMax and ArgMin, along `axis`."""
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [without(node, one, {axis})]


def cumsum(node: Node) -> Outputs:
    """CumSum."""
    one = node.rows()
    if one.axis in {positive(axis, one.rank) for axis in node.integers(1)}:
        raise MixesError(ACROSS)
    return alike(node)


def matmul(node: Node, at: tuple[int, int] = (0, 1)) -> Outputs:
    """MatMul, of the inputs at two positions."""
    left, right = node.input(at[0]), node.input(at[1])
    node.check_others(*at)
    ranks = len(shape_of(left)), len(shape_of(right))
    rank = max(ranks)
    offsets = set()
    for one, kept in ((left, -2), (right, -1)):
        if has_counts(one):
            raise MixesError(COUNTS)
        if isinstance(one, PerRow):
            offset = one.axis - one.rank
            if one.rank < 2 or (offset >= -2 and offset != kept):
                raise MixesError(f"adds up over rows, and {ACROSS}")
            offsets.add(offset)
    if len(offsets) > 1 or (
        offsets & {-1, -2} and isinstance(left, PerRow) and isinstance(right, PerRow)
    ):
        raise MixesError(f"sets rows against rows, and {ACROSS}")
    (offset,) = offsets
    if min(ranks) < 2:
        if ranks[1] == 1 and isinstance(left, PerRow):
            return [node.out(left.axis, left.rank - 1)]
        raise MixesError("multiplies a vector, which is not followed")
    for one in (left, right):
        if isinstance(one, Same) and offset < -2 and _has_rows_place(shape_of(one), offset):
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(rank + offset, rank)]


def gemm(node: Node) -> Outputs:
    """Gemm."""
    one = node.rows()
    node.check_others(0)
    if one.rank != 2 or one.axis != (1 if node.attribute("transA", 0) else 0):
        raise MixesError(f"adds up over rows, and {ACROSS}")
    third = node.input(2)
    if third is not None and len(shape_of(third)) == 2 and shape_of(third)[0] != 1:
        raise MixesError("treats rows by their place in a prediction")
    return [node.out(0, 2)]


def normalised(node: Node) -> Outputs:
    """BatchNormalization."""
    is_training = (
        node.attribute("training_mode", 0)
        or len(node.shapes) > 1
        or (node.opset < 7 and not node.attribute("is_test", 0))
    )
    if is_training:
        raise MixesError("is in training mode, and takes mean and variance of all rows")
    return rowwise(node)


def dropout(node: Node) -> Outputs:
    """Dropout, which passes its rows on unless it is in training mode."""
    training = node.constant(2)
    if (training and training[0]) or (node.opset < 7 and not node.attribute("is_test", 0)):
        raise MixesError("is in training mode, and draws random numbers")
    return alike(node)


def quantize(node: Node) -> Outputs:
    """QuantizeLinear and DequantizeLinear."""
    one, scale = node.rows(), node.input(1)
    node.check_others(0)
    if scale is None or scale.shape is None:
        raise MixesError("has a scale of unknown shape")
    if not is_one(scale.shape) and positive(node.attribute("axis", 1), one.rank) == one.axis:
        raise MixesError("treats rows by their place in a prediction")
    return alike(node)


def quantized_matmul(first: int, second: int) -> Rule:
    """A rule for a product of quantized matrices, at these positions of the inputs."""

    def rule(node: Node) -> Outputs:
        for at, one in enumerate(node.inputs):
            if at not in (first, second) and isinstance(one, PerRow):
                raise MixesError("takes its scale from the rows of a prediction")
            of_rows = (1, 2, 6, 7) if second == 3 else (2,)
            if at in of_rows and one is not None and not is_one(one.shape):
                raise MixesError("treats rows by their place in a prediction")
        return matmul(node, (first, second))

    return rule


def recurrent(node: Node) -> Outputs:
    """RNN, GRU and LSTM, where rows are the second dimension, but for layout 1."""
    first = 0 if node.attribute("layout", 0) else 1
    for at in (0, 4, 5, 6):
        one = node.input(at)
        if (isinstance(one, PerRow) or at == 0) and node.rows(at).axis != (0 if at == 4 else first):
            raise MixesError(ACROSS)
        if isinstance(one, Same) and at:
            raise MixesError("has states that do not grow with the rows")
    node.check_others(0, 4, 5, 6)
    return [
        node.out((0 if first == 0 else 2 if at == 0 else 1), 4 if at == 0 else 3, at)
        for at in range(len(node.shapes))
    ]


def einsum(node: Node) -> Outputs:
    """Einsum, where rows have a letter of their own, which is in the result."""
    equation = node.attribute("equation").decode().replace(" ", "")
    terms, arrow, result = equation.partition("->")
    letters = set()
    for term, one in zip(terms.split(","), node.inputs, strict=True):
        if isinstance(one, PerRow):
            letters |= {term[one.axis] if len(term) == one.rank else ""}
    (letter,) = letters if len(letters) == 1 else ("",)
    pairs = zip(terms.split(","), node.inputs, strict=True)
    is_clear = "." not in equation and arrow and letter and result.count(letter) == 1
    if not is_clear or any(
        term.count(letter) != (1 if isinstance(one, PerRow) else 0) for term, one in pairs
    ):
        raise MixesError(ACROSS)
    return [node.out(result.index(letter), len(result))]
