"""Whether an ONNX graph answers each row from that row alone: its rows are followed from the first
dimension of every input, operator by operator, to the first dimension of every output.

Knows of each value what `values.py` says; what each operator makes of it is in `operators.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from model_server.scoring.independence.node import Node
from model_server.scoring.independence.operators import OPERATORS
from model_server.scoring.independence.values import (
    Dims,
    MixesError,
    Outputs,
    PerRow,
    Same,
    Shape,
    Value,
)

_MAX_FOLDED = 4096
"""Elements of constants whose values are looked at: shapes, axes, scales."""


def why_not(file: Path) -> str | None:
    """The operator of the graph in `file` that may look at all rows, and why; None without one."""
    model = onnx.load(file, load_external_data=False)
    if model.functions:
        from onnx import inliner  # which older releases are without

        model = inliner.inline_local_functions(model)
    try:
        _follow(model)
    except MixesError as reason:
        return str(reason)
    return None


def _follow(model: onnx.ModelProto) -> None:
    """Follow the rows from the inputs to the outputs. Raises MixesError."""
    graph = model.graph
    shapes = _shapes(model)
    values: dict[str, Value] = {one.name: _constant(one) for one in graph.initializer}
    for sparse in graph.sparse_initializer:
        values[sparse.values.name] = Same(tuple(sparse.dims))
    for source in graph.input:
        if source.name not in values:
            values[source.name] = _input(source)
    opsets = {one.domain: one.version for one in model.opset_import}
    opsets["ai.onnx"] = opsets.get("", 1)
    for proto in graph.node:
        inputs = [values.get(name) if name else None for name in proto.input]
        outputs = _outputs(proto, inputs, opsets, shapes)
        values.update(zip(proto.output, outputs, strict=False))
    for target in graph.output:
        value = values.get(target.name)
        if not isinstance(value, PerRow) or value.axis != 0:
            raise MixesError(f"its output {target.name!r} has not one part a row")


def _outputs(
    proto: onnx.NodeProto,
    inputs: list[Value | None],
    opsets: Mapping[str, int],
    shapes: Mapping[str, Shape],
) -> Outputs:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    name = proto.op_type
    known = [shapes.get(output) for output in proto.output]
    node = Node(
        {one.name: helper.get_attribute_value(one) for one in proto.attribute},
        inputs,
        known,
        opsets.get(domain, 1),
    )
    where = f"the operator {name}" + (f" (node {proto.name!r})" if proto.name else "")
    if name == "Constant" and not domain:
        return [_constant_of(node)]
    if any(isinstance(one, onnx.GraphProto) for one in node.attributes.values()):
        raise MixesError(f"{where} runs a graph of its own, which is not followed")
    rule = OPERATORS.get((domain, name))
    if rule is None:
        kind = f"{domain}.{name}" if domain else name
        raise MixesError(f"{where} may look at all rows: nothing is known of {kind}")
    if isinstance(rule, str):
        raise MixesError(f"{where} {rule}")
    if folded := _folded(proto, inputs, opsets):
        return folded
    try:
        return rule(node)
    except MixesError as reason:
        raise MixesError(f"{where} {reason}") from None


def _shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    with contextlib.suppress(Exception):  # of operators unknown to it, or files beyond 2 GiB
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = model.graph
    return {one.name: _shape(one) for one in (*graph.value_info, *graph.output)}


def _shape(one: onnx.ValueInfoProto) -> Shape:
    tensor = one.type.tensor_type
    if not one.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)


def _input(one: onnx.ValueInfoProto) -> PerRow:
    shape = _shape(one)
    if not shape or shape[0] is not None:
        raise MixesError("the first dimension of its inputs is fixed")
    return PerRow(0, shape)


def _constant(one: onnx.TensorProto) -> Same:
    shape = tuple(one.dims)
    if one.data_location == onnx.TensorProto.EXTERNAL or np.prod(shape) > _MAX_FOLDED:
        return Same(shape)
    return Same(shape, numpy_helper.to_array(one))


def _constant_of(node: Node) -> Same:
    for name, value in node.attributes.items():
        if name == "value":
            return _constant(value)
        if name.startswith("value_"):
            array = np.array(value)
            return Same(array.shape, array)
    return Same(None)


def _folded(
    proto: onnx.NodeProto, inputs: Sequence[Value | None], opsets: Mapping[str, int]
) -> Outputs | None:
    """The outputs of an operator on small constants alone."""
    arrays = {}
    for name, one in zip(proto.input, inputs, strict=True):
        array = one.array() if isinstance(one, Same | Dims) else None
        if name and array is None:
            return None
        if name:
            arrays[name] = array
    if not arrays or proto.op_type in ("Dropout", "RandomNormalLike", "RandomUniformLike"):
        return None
    try:
        run = ReferenceEvaluator(proto, opsets={"": opsets.get("", 1)}).run
        outputs = list(run(None, arrays))
    except Exception:  # only a value that is not known then
        return None
    small = [one for one in outputs if isinstance(one, np.ndarray) and one.size <= _MAX_FOLDED]
    return [Same(one.shape, one) for one in small] if len(small) == len(outputs) else None
