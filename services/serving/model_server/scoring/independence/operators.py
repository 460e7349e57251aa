"""What ONNX operators make of rows: https://onnx.ai/onnx/operators and, for ai.onnx.ml,
https://onnx.ai/onnx/operators/index.html#ai-onnx-ml. A rule gets a node whose inputs are known and
returns what its outputs are, or raises MixesError; a text says why there is none.
"""

from __future__ import annotations

from model_server.scoring.independence import arithmetic, placement, sizes
from model_server.scoring.independence.node import Rule, alike, or_same

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
    "Binarizer": alike,
    "CategoryMapper": alike,
    "Imputer": placement.of_table((2,)),
    "LabelEncoder": alike,
    "LinearClassifier": placement.of_table((1, 2)),
    "LinearRegressor": placement.of_table((2,)),
    "Normalizer": placement.of_table((2,)),
    "OneHotEncoder": lambda node: [node.out(node.rows().axis, node.rows().rank + 1)],
    "Scaler": placement.of_table((2,)),
    "SVMClassifier": placement.of_table((1, 2)),
    "SVMRegressor": placement.of_table((2,)),
    "TreeEnsemble": placement.of_table((2,)),
    "TreeEnsembleClassifier": placement.of_table((1, 2)),
    "TreeEnsembleRegressor": placement.of_table((2,)),
    "ArrayFeatureExtractor": placement.array_feature_extractor,
    "FeatureVectorizer": placement.features,
    "ZipMap": placement.maps,
}
_RANDOM = "draws random numbers"
_PLAIN: dict[str, Rule] = {
    **dict.fromkeys(_BY_NUMBER.split(), arithmetic.broadcast),
    **dict.fromkeys(_REDUCTIONS.split(), arithmetic.reduce),
    **dict.fromkeys(_BY_IMAGE.split(), arithmetic.rowwise),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), arithmetic.softmax),
    **dict.fromkeys(("ArgMax", "ArgMin"), placement.along(0, arithmetic.arg)),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), arithmetic.recurrent),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), arithmetic.quantize),
    "BatchNormalization": arithmetic.normalised,
    "Concat": placement.concat,
    "CumSum": arithmetic.cumsum,
    "Dropout": arithmetic.dropout,
    "Einsum": arithmetic.einsum,
    "Flatten": placement.flatten,
    "Gather": placement.gather,
    "GatherElements": placement.gather_elements,
    "Gemm": arithmetic.gemm,
    "LayerNormalization": placement.from_axis(-1),
    "LpNormalization": placement.along(-1),
    "MatMul": arithmetic.matmul,
    "MatMulInteger": arithmetic.quantized_matmul(0, 1),
    "MaxPool": arithmetic.max_pool,
    "OneHot": placement.one_hot,
    "Pad": placement.pad,
    "QLinearMatMul": arithmetic.quantized_matmul(0, 3),
    "RMSNormalization": placement.from_axis(-1),
    "Slice": placement.sliced,
    "Split": placement.along(0),
    "Squeeze": placement.squeeze,
    "Tile": placement.tile,
    "TopK": placement.along(-1),
    "Transpose": placement.transpose,
    "Trilu": placement.trilu,
    "Unsqueeze": placement.unsqueeze,
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
    **{("", name): sizes.or_sizes(name, or_same(rule)) for name, rule in _PLAIN.items()},
    **{("", name): rule for name, rule in _SIZED.items()},
    **{("", name): why for name, why in _NEVER.items()},
    **{("ai.onnx.ml", name): or_same(rule) for name, rule in _ML.items()},
    **{
        ("com.microsoft", name): or_same(arithmetic.broadcast)
        for name in ("BiasGelu", "FastGelu", "Gelu")
    },
}
