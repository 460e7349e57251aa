"""What ONNX operators make of rows: https://onnx.ai/onnx/operators and, for ai.onnx.ml,
https://onnx.ai/onnx/operators/index.html#ai-onnx-ml. A rule gets a node whose inputs are known and
returns what its outputs are, or raises MixesError; a text says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_server.scoring.independence import sizes
from model_server.scoring.independence.values import (
    Dims,
    MixesError,
    Rows,
    Same,
    Shape,
    Value,
)

_ACROSS = "works across the rows of a prediction"
_COUNTS = "computes with the number of rows"
_UNKNOWN = "has axes that are only known when it runs"


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
            raise MixesError(_UNKNOWN)
        return np.atleast_1d(array).tolist()

    def check_others(self, *rows: int) -> None:
        """Raises MixesError where another input than `rows` depends on them."""
        for at, one in enumerate(self.inputs):
            if at not in rows and (
                isinstance(one, Rows) or (isinstance(one, Dims) and one.has_rows)
            ):
                raise MixesError("takes its parameters from the rows of a prediction")

    def out(self, axis: int, rank: int, at: int = 0) -> Rows:
        known = self.shapes[at] if at < len(self.shapes) else None
        return Rows(axis, known if known is not None and len(known) == rank else (None,) * rank)

    def depends(self) -> bool:
        return any(isinstance(one, Rows) or _counts(one) for one in self.inputs)

    def sames(self) -> list[Same]:
        return [Same(shape) for shape in self.shapes]


Rule = Callable[[Node], list]


def _counts(one: Value | None) -> bool:
    return isinstance(one, Dims) and one.has_rows


def _or_same(rule: Rule) -> Rule:
    """Nothing that depends on rows gives nothing that does."""

    def found(node: Node) -> list:
        if not node.depends():
            return node.sames()
        if not any(isinstance(one, Rows) for one in node.inputs):
            raise MixesError(_COUNTS)
        return rule(node)

    return found


def _axis(axis: int, rank: int) -> int:
    return axis + rank if axis < 0 else axis


def _broadcast(node: Node) -> list:
    """Of each number, and of those at the same place in the other inputs."""
    offset, rank = None, 0
    for one in node.inputs:
        if _counts(one):
            raise MixesError(_COUNTS)
        if one is None:
            continue
        if one.shape is None:
            raise MixesError("gets a value of unknown rank")
        rank = max(rank, len(one.shape))
        if isinstance(one, Rows):
            if offset not in (None, one.axis - one.rank):
                raise MixesError(f"sets rows against rows, and {_ACROSS}")
            offset = one.axis - one.rank
    for one in node.inputs:
        if isinstance(one, Same | Dims) and len(one.shape) >= -offset and one.shape[offset] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(rank + offset, rank, at) for at in range(max(1, len(node.shapes)))]


def _rowwise(node: Node) -> list:
    """Along the first axis, by parameters that do not depend on rows."""
    one = node.rows()
    node.check_others(0)
    if one.axis != 0:
        raise MixesError(_ACROSS)
    return [Rows(0, shape) for shape in node.shapes]


def _max_pool(node: Node) -> list:
    if len(node.shapes) > 1:
        raise MixesError("counts its indices over all rows of a prediction")
    return _rowwise(node)


def _of_table(ranks: tuple[int, ...]) -> Rule:
    """Of ai.onnx.ml: [rows, features] to outputs of these ranks."""

    def found(node: Node) -> list:
        one = node.rows()
        if one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
        node.check_others(0)
        return [node.out(0, rank, at) for at, rank in enumerate(ranks)]

    return found


def _alike(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    return [node.out(one.axis, one.rank, at) for at in range(max(1, len(node.shapes)))]


def _along(default: int, outputs: Callable[[Node, Rows, int], list] | None = None) -> Rule:
    """Along one axis, which is not that of the rows."""

    def found(node: Node) -> list:
        one = node.rows()
        node.check_others(0)
        axis = _axis(node.attribute("axis", default), one.rank)
        if axis == one.axis:
            raise MixesError(_ACROSS)
        return outputs(node, one, axis) if outputs else _alike(node)

    return found


def _softmax(node: Node) -> list:
    one = node.rows()
    if node.opset < 13:  # all dimensions from `axis` on, as one
        if one.axis >= _axis(node.attribute("axis", 1), one.rank):
            raise MixesError(_ACROSS)
        return _alike(node)
    return _along(-1)(node)


def _from_axis(default: int) -> Rule:
    """Over all axes from one on."""

    def found(node: Node) -> list:
        one = node.rows()
        node.check_others(0)
        if one.axis >= _axis(node.attribute("axis", default), one.rank):
            raise MixesError(_ACROSS)
        return [node.out(one.axis, one.rank, at) for at in range(len(node.shapes))]

    return found


def _without(node: Node, one: Rows, axes: set[int], at: int = 0) -> Rows:
    axis = one.axis - sum(other < one.axis for other in axes)
    return node.out(axis, one.rank - len(axes), at)


def _reduce(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return _alike(node)
        raise MixesError(_ACROSS)
    axes = {_axis(axis, one.rank) for axis in axes}
    if one.axis in axes:
        raise MixesError(_ACROSS)
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [_without(node, one, axes)]


def _arg(node: Node, one: Rows, axis: int) -> list:
    if node.attribute("keepdims", 1):
        return [node.out(one.axis, one.rank)]
    return [_without(node, one, {axis})]


def _cumsum(node: Node) -> list:
    one = node.rows()
    if one.axis in {_axis(axis, one.rank) for axis in node.constant(1)}:
        raise MixesError(_ACROSS)
    return _alike(node)


def _matmul(node: Node, at: tuple[int, int] = (0, 1)) -> list:
    left, right = (node.input(one) for one in at)
    node.check_others(*at)
    if left is None or right is None or left.shape is None or right.shape is None:
        raise MixesError("gets a value of unknown rank")
    rank = max(len(left.shape), len(right.shape))
    offsets = set()
    for one, kept in ((left, -2), (right, -1)):
        if _counts(one):
            raise MixesError(_COUNTS)
        if isinstance(one, Rows):
            offset = one.axis - one.rank
            if one.rank < 2 or (offset >= -2 and offset != kept):
                raise MixesError(f"adds up over rows, and {_ACROSS}")
            offsets.add(offset)
    if len(offsets) > 1 or (
        offsets & {-1, -2} and isinstance(left, Rows) and isinstance(right, Rows)
    ):
        raise MixesError(f"sets rows against rows, and {_ACROSS}")
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


def _gemm(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    if one.rank != 2 or one.axis != (1 if node.attribute("transA", 0) else 0):
        raise MixesError(f"adds up over rows, and {_ACROSS}")
    third = node.input(2)
    if third is not None:
        if third.shape is None:
            raise MixesError("gets a value of unknown rank")
        if len(third.shape) == 2 and third.shape[0] != 1:
            raise MixesError("treats rows by their place in a prediction")
    return [node.out(0, 2)]


def _normalised(node: Node) -> list:
    """BatchNormalization."""
    is_training = (
        node.attribute("training_mode", 0)
        or len(node.shapes) > 1
        or (node.opset < 7 and not node.attribute("is_test", 0))
    )
    if is_training:
        raise MixesError("is in training mode, and takes mean and variance of all rows")
    return _rowwise(node)


def _dropout(node: Node) -> list:
    training = node.constant(2)
    if (training and training[0]) or (node.opset < 7 and not node.attribute("is_test", 0)):
        raise MixesError("is in training mode, and draws random numbers")
    return _alike(node)


def _is_one(shape: Shape) -> bool:
    return shape is not None and all(size == 1 for size in shape)


def _quantize(node: Node) -> list:
    one, scale = node.rows(), node.input(1)
    node.check_others(0)
    if scale.shape is None:
        raise MixesError("has a scale of unknown shape")
    if not _is_one(scale.shape) and _axis(node.attribute("axis", 1), one.rank) == one.axis:
        raise MixesError("treats rows by their place in a prediction")
    return _alike(node)


def _quantized_matmul(first: int, second: int) -> Rule:
    def found(node: Node) -> list:
        for at, one in enumerate(node.inputs):
            if at not in (first, second) and isinstance(one, Rows):
                raise MixesError("takes its scale from the rows of a prediction")
            of_rows = (1, 2, 6, 7) if second == 3 else (2,)
            if at in of_rows and one is not None and not _is_one(one.shape):
                raise MixesError("treats rows by their place in a prediction")
        return _matmul(node, (first, second))

    return found


def _transpose(node: Node) -> list:
    one = node.rows()
    order = node.attribute("perm") or list(reversed(range(one.rank)))
    return [node.out(list(order).index(one.axis), one.rank)]


def _flatten(node: Node) -> list:
    one = node.rows()
    if one.axis != 0 or _axis(node.attribute("axis", 1), one.rank) == 0:
        raise MixesError(_ACROSS)
    if node.attribute("axis", 1) != 1:
        raise MixesError("makes several rows of one")
    return [node.out(0, 2)]


def _concat(node: Node) -> list:
    one = next(one for one in node.inputs if isinstance(one, Rows))
    if _axis(node.attribute("axis"), one.rank) == one.axis:
        raise MixesError(_ACROSS)
    for other in node.inputs:
        if not isinstance(other, Rows) or (other.axis, other.rank) != (one.axis, one.rank):
            raise MixesError("puts something beside the rows that does not grow with them")
    return [node.out(one.axis, one.rank)]


def _gather(node: Node) -> list:
    data, indices = node.inputs
    if data.shape is None or indices.shape is None:
        raise MixesError("gets a value of unknown rank")
    axis = _axis(node.attribute("axis", 0), len(data.shape))
    rank = len(data.shape) + len(indices.shape) - 1
    if _counts(data) or _counts(indices) or (isinstance(data, Rows) and isinstance(indices, Rows)):
        raise MixesError("chooses rows by rows, which is not followed")
    if isinstance(indices, Rows):  # out of a table
        return [node.out(axis + indices.axis, rank)]
    if axis == data.axis:
        raise MixesError("chooses rows by their place in a prediction")
    shift = len(indices.shape) - 1 if axis < data.axis else 0
    return [node.out(data.axis + shift, rank)]


def _gather_elements(node: Node) -> list:
    data, indices = node.rows(0), node.rows(1)
    if data.axis != indices.axis or _axis(node.attribute("axis", 0), data.rank) == data.axis:
        raise MixesError(_ACROSS)
    return [node.out(data.axis, data.rank)]


def _slice(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    axes = node.constant(3, "axes") or list(range(one.rank))
    if one.axis in (at := [_axis(axis, one.rank) for axis in axes]):
        starts, ends = node.constant(1, "starts"), node.constant(2, "ends")
        given = zip(at, starts, ends, node.constant(4) or [1] * len(starts), strict=False)
        for axis, start, end, step in given:
            if axis == one.axis and (start != 0 or end < 2**31 - 1 or step != 1):
                raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def _squeeze(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    if not axes:
        raise MixesError("drops the dimension of the rows where there is one")
    axes = {_axis(axis, one.rank) for axis in axes}
    if one.axis in axes:
        raise MixesError("drops the dimension of the rows")
    return [_without(node, one, axes)]


def _unsqueeze(node: Node) -> list:
    one = node.rows()
    axes = node.constant(1, "axes")
    rank = one.rank + len(axes)
    new = {_axis(axis, rank) for axis in axes}
    old = [at for at in range(rank) if at not in new]
    return [node.out(old[one.axis], rank)]


def _pad(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    pads = node.constant(1, "pads")
    axes = node.constant(3) or list(range(one.rank))
    at = [_axis(axis, one.rank) for axis in axes]
    if one.axis in at and (pads[at.index(one.axis)] or pads[len(at) + at.index(one.axis)]):
        raise MixesError("puts rows beside the rows")
    return [node.out(one.axis, one.rank)]


def _tile(node: Node) -> list:
    one = node.rows()
    if node.constant(1)[one.axis] != 1:
        raise MixesError("repeats rows")
    return [node.out(one.axis, one.rank)]


def _one_hot(node: Node) -> list:
    one = node.rows()
    node.check_others(0)
    axis = _axis(node.attribute("axis", -1), one.rank + 1)
    return [node.out(one.axis + (axis <= one.axis), one.rank + 1)]


def _trilu(node: Node) -> list:
    one = node.rows()
    if one.axis >= one.rank - 2:
        raise MixesError("treats rows by their place in a prediction")
    return _alike(node)


def _array_feature_extractor(node: Node) -> list:
    data, indices = node.inputs
    if isinstance(indices, Rows):
        is_table = isinstance(data, Same) and data.shape is not None and len(data.shape) == 1
        others = [size for at, size in enumerate(indices.shape or (2,)) if at != indices.axis]
        if not is_table or not _is_one(tuple(others)):
            raise MixesError("chooses rows by rows, which is not followed")
        return [Rows(1, (1, None))]
    one = node.rows()
    if one.axis == one.rank - 1:
        raise MixesError("chooses rows by their place in a prediction")
    return [node.out(one.axis, one.rank)]


def _features(node: Node) -> list:
    """FeatureVectorizer."""
    for one in node.inputs:
        if not isinstance(one, Rows) or one.axis != 0 or one.rank != 2:
            raise MixesError("takes what it gets for a single row")
    return [node.out(0, 2)]


def _recurrent(node: Node) -> list:
    """RNN, GRU and LSTM: rows are the second dimension, but for layout 1."""
    first = 0 if node.attribute("layout", 0) else 1
    for at in (0, 4, 5, 6):
        one = node.input(at)
        if (isinstance(one, Rows) or at == 0) and node.rows(at).axis != (0 if at == 4 else first):
            raise MixesError(_ACROSS)
        if isinstance(one, Same) and at:
            raise MixesError("has states that do not grow with the rows")
    node.check_others(0, 4, 5, 6)
    return [
        node.out((0 if first == 0 else 2 if at == 0 else 1), 4 if at == 0 else 3, at)
        for at in range(len(node.shapes))
    ]


def _maps(node: Node) -> list:
    """ZipMap: a sequence, of one map a row."""
    if node.rows().axis != 0:
        raise MixesError(_ACROSS)
    return [Rows(0, (None,))]


def _einsum(node: Node) -> list:
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
        raise MixesError(_ACROSS)
    return [node.out(result.index(letter), len(result))]


_BY_NUMBER = """Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot
    BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu
    Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual
    Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid
    Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor"""
_REDUCTIONS = """ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare"""
_BY_IMAGE = """AveragePool Conv ConvInteger ConvTranspose DepthToSpace GlobalAveragePool
    GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LpPool
    QLinearConv SpaceToDepth"""
_ML = {
    "Binarizer": _alike,
    "CategoryMapper": _alike,
    "Imputer": _of_table((2,)),
    "LabelEncoder": _alike,
    "LinearClassifier": _of_table((1, 2)),
    "LinearRegressor": _of_table((2,)),
    "Normalizer": _of_table((2,)),
    "OneHotEncoder": lambda node: [node.out(node.rows().axis, node.rows().rank + 1)],
    "Scaler": _of_table((2,)),
    "SVMClassifier": _of_table((1, 2)),
    "SVMRegressor": _of_table((2,)),
    "TreeEnsemble": _of_table((2,)),
    "TreeEnsembleClassifier": _of_table((1, 2)),
    "TreeEnsembleRegressor": _of_table((2,)),
    "ArrayFeatureExtractor": _array_feature_extractor,
    "FeatureVectorizer": _features,
    "ZipMap": _maps,
}
_RANDOM = "draws random numbers"
_PLAIN: dict[str, Rule] = {
    **dict.fromkeys(_BY_NUMBER.split(), _broadcast),
    **dict.fromkeys(_REDUCTIONS.split(), _reduce),
    **dict.fromkeys(_BY_IMAGE.split(), _rowwise),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), _softmax),
    **dict.fromkeys(("ArgMax", "ArgMin"), _along(0, _arg)),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _recurrent),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantize),
    "BatchNormalization": _normalised,
    "Concat": _concat,
    "CumSum": _cumsum,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Gemm": _gemm,
    "LayerNormalization": _from_axis(-1),
    "LpNormalization": _along(-1),
    "MatMul": _matmul,
    "MatMulInteger": _quantized_matmul(0, 1),
    "MaxPool": _max_pool,
    "OneHot": _one_hot,
    "Pad": _pad,
    "QLinearMatMul": _quantized_matmul(0, 3),
    "RMSNormalization": _from_axis(-1),
    "Slice": _slice,
    "Split": _along(0),
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _along(-1),
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
_SIZED: dict[str, Rule] = {
    "ConstantOfShape": sizes.filled,
    "Expand": sizes.expanded,
    "Range": sizes.counted,
    "Reshape": sizes.reshaped,
    "Shape": sizes.taken,
}
_NEVER = {
    "Bernoulli": _RANDOM,
    "DynamicQuantizeLinear": "takes its scale from all rows of a prediction",
    "Multinomial": _RANDOM,
    "RandomNormal": _RANDOM,
    "RandomNormalLike": _RANDOM,
    "RandomUniform": _RANDOM,
    "RandomUniformLike": _RANDOM,
}

OPERATORS: dict[tuple[str, str], Rule | str] = {
    **{("", name): sizes.or_sizes(name, _or_same(rule)) for name, rule in _PLAIN.items()},
    **{("", name): rule for name, rule in _SIZED.items()},
    **{("", name): why for name, why in _NEVER.items()},
    **{("ai.onnx.ml", name): _or_same(rule) for name, rule in _ML.items()},
    **{("com.microsoft", name): _or_same(_broadcast) for name in ("BiasGelu", "FastGelu", "Gelu")},
}
