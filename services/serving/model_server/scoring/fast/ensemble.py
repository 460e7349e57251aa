"""All the trees of a model as one node of an ONNX graph, run by ONNX Runtime in doubles.

It adds up what the trees say in their order and starts at zero, as scikit-learn does, so that sums
are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from model_server.scoring.fast.rows import Floats, NoFastPath

MAX_NODES = 300_000
"""Nodes of all trees: a third of a second on an idle machine."""

_LESS_OR_EQUAL, _SUM = 0, 1
_OPSETS = {"ai.onnx.ml": 5, "": 18}
_IR_VERSION = 9


class Tree(NamedTuple):
    """Arrays with one entry a node, of which node 0 is the root."""

    features: np.ndarray
    thresholds: np.ndarray
    """Rows whose feature is at most that go left."""
    left: np.ndarray
    """Number of a node; negative in a leaf."""
    right: np.ndarray
    missing_left: np.ndarray
    """Whether NaN goes left."""
    targets: np.ndarray
    """Which sum a leaf adds to."""
    weights: np.ndarray
    """What it adds."""


def constant(target: int, weight: float) -> Tree:
    """A tree of one leaf."""
    zero = np.zeros(1, dtype=np.int64)
    return Tree(zero, zero, zero - 1, zero - 1, zero, zero + target, np.array([float(weight)]))


class Ensemble:
    """The graph, and what runs it."""

    def __init__(self, trees: Sequence[Tree], features: int, sums: int) -> None:
        """Raises NoFastPath where there are too many nodes or ONNX Runtime is not installed."""
        nodes = sum(len(tree.left) for tree in trees)
        if nodes > MAX_NODES:
            raise NoFastPath(f"its trees have {nodes:,} nodes, more than {MAX_NODES:,}")
        session = _session(_graph(trees, features, sums))
        self._run: Callable[[None, dict[str, np.ndarray]], list[Floats]] = session.run

    def __call__(self, values: Floats) -> Floats:
        """The sums, (rows, sums), of float64 rows, (rows, features)."""
        return self._run(None, {"rows": values})[0]


def _session(graph: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise NoFastPath("onnxruntime is not installed") from None
    options = onnxruntime.SessionOptions()
    # One thread, as the worker has for everything, and sums in one order.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _graph(trees: Sequence[Tree], features: int, sums: int) -> bytes:
    try:
        from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper
    except ImportError:
        raise NoFastPath("onnx is not installed") from None
    graph = GraphProto(name="trees")
    graph.input.append(helper.make_tensor_value_info("rows", TensorProto.DOUBLE, [None, features]))
    graph.output.append(helper.make_tensor_value_info("sums", TensorProto.DOUBLE, [None, sums]))
    node = graph.node.add(op_type="TreeEnsemble", domain="ai.onnx.ml")
    node.input.append("rows")
    node.output.append("sums")
    scalars = {"aggregate_function": _SUM, "n_targets": sums, "post_transform": 0}
    for name, value in scalars.items():
        node.attribute.add(name=name, type=AttributeProto.INT, i=value)
    for name, values in _attributes(trees).items():
        if values.dtype == np.int64:
            node.attribute.add(name=name, type=AttributeProto.INTS, ints=values.tolist())
        else:
            tensor = numpy_helper.from_array(values)
            node.attribute.add(name=name, type=AttributeProto.TENSOR, t=tensor)
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = ModelProto(ir_version=_IR_VERSION, graph=graph, opset_import=opsets)
    return model.SerializeToString()


def _attributes(trees: Sequence[Tree]) -> dict[str, np.ndarray]:
    """ONNX numbers inner nodes and leaves apart, each through all trees."""
    trees = [_with_root(tree) for tree in trees]
    sizes = [len(tree.left) for tree in trees]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    whole = Tree(*(np.concatenate(parts) for parts in zip(*trees, strict=True)))
    offsets = np.repeat(starts[:-1], sizes)
    is_leaf = whole.left < 0
    numbers = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    inner = ~is_leaf
    left = (whole.left + offsets)[inner]
    right = (whole.right + offsets)[inner]
    integers = {
        "tree_roots": numbers[starts[:-1]],
        "nodes_featureids": whole.features[inner],
        "nodes_truenodeids": numbers[left],
        "nodes_trueleafs": is_leaf[left],
        "nodes_falsenodeids": numbers[right],
        "nodes_falseleafs": is_leaf[right],
        "nodes_missing_value_tracks_true": whole.missing_left[inner],
        "leaf_targetids": whole.targets[is_leaf],
    }
    return {name: values.astype(np.int64) for name, values in integers.items()} | {
        "nodes_splits": whole.thresholds[inner].astype(np.float64),
        "nodes_modes": np.full(inner.sum(), _LESS_OR_EQUAL, dtype=np.uint8),
        "leaf_weights": whole.weights[is_leaf].astype(np.float64),
    }


def _with_root(tree: Tree) -> Tree:
    """ONNX has no tree without an inner node: both sides of this one are the only leaf."""
    if len(tree.left) > 1:
        return tree
    zero = np.zeros(2, dtype=np.int64)
    leaf = np.array([1, -1])
    twice = [np.repeat(values, 2) for values in (tree.targets, tree.weights)]
    return Tree(zero, zero, leaf, leaf, zero, *twice)
