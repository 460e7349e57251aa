"""ONNX graphs, as other tools export them."""

from __future__ import annotations

import functools
from pathlib import Path

import mlflow
import numpy as np
import onnx
from mlflow.models import infer_signature
from onnx import TensorProto, helper, numpy_helper

from tests.integration.serving.gallery import data, questions
from tests.integration.serving.gallery.piece import Piece

ROWS = data.WINE.iloc[[0, 60, 150]].to_numpy(np.float32)


def _weights(name: str, *shape: int) -> onnx.TensorProto:
    random = np.random.default_rng(0)
    return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)


def _nodes(kind: str) -> tuple[list, list, dict[str, list], list]:
    """Nodes, weights, outputs' shapes, and the opsets beyond ONNX's own."""
    node = helper.make_node
    layer = [_weights("w", 4, 3), _weights("b", 3)]
    match kind:
        case "dense":
            nodes = [node("Gemm", ["x", "w", "b"], ["h"]), node("Relu", ["h"], ["y"])]
            return nodes, layer, {"y": [None, 3]}, []
        case "two-outputs":
            nodes = [node("Gemm", ["x", "w", "b"], ["y"]), node("Softmax", ["y"], ["chances"])]
            return nodes, layer, {"y": [None, 3], "chances": [None, 3]}, []
        case "across-rows":
            nodes = [
                node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
                node("Sub", ["x", "m"], ["y"]),
            ]
            return nodes, [], {"y": [None, 4]}, []
        case "quantised":
            nodes = [
                node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
                node("DequantizeLinear", ["q", "s", "z"], ["d"]),
                node("Gemm", ["d", "w", "b"], ["y"]),
            ]
            return nodes, layer, {"y": [None, 3]}, []
        case "trees":
            attributes = {
                "nodes_treeids": [0, 0, 0],
                "nodes_nodeids": [0, 1, 2],
                "nodes_featureids": [0, 0, 0],
                "nodes_values": [13.0, 0.0, 0.0],
                "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
                "nodes_truenodeids": [1, 0, 0],
                "nodes_falsenodeids": [2, 0, 0],
                "target_treeids": [0, 0],
                "target_nodeids": [1, 2],
                "target_ids": [0, 0],
                "target_weights": [1.5, 2.5],
                "n_targets": 1,
            }
            nodes = [node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml", **attributes)]
            return nodes, [], {"y": [None, 1]}, [helper.make_opsetid("ai.onnx.ml", 3)]
    raise ValueError(kind)


def _save(folder: Path, kind: str) -> None:
    nodes, weights, outputs, opsets = _nodes(kind)
    number = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("x", number, [None, 4])],
        [helper.make_tensor_value_info(name, number, shape) for name, shape in outputs.items()],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), *opsets], ir_version=10
    )
    example = {"x": ROWS}
    mlflow.onnx.save_model(
        model,
        folder,
        signature=infer_signature(example),
        input_example=example,
        pip_requirements=["onnx", "onnxruntime"],
    )


GRAPHS = {
    f"onnx-{kind}": Piece(
        "onnx",
        functools.partial(_save, kind=kind),
        lambda: questions.of_tensor(ROWS.tolist()),
    )
    for kind in ("dense", "two-outputs", "across-rows", "quantised", "trees")
}
