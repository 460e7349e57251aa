"""A T5 of a few kilobytes with T5's real mathematics, in the files that optimum exports.

The weights are random, so what it writes is nonsense; but it is nonsense that depends on the task
and on every word of the text, and that ends after one token or after many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

VOCABULARY = 120
LAYERS, HEADS, D_KV, D_MODEL, D_FF = 2, 2, 8, 16, 32
BUCKETS, MAX_DISTANCE = 8, 32
EPSILON = 1e-6
SEED = 76

CONFIG = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "vocab_size": VOCABULARY,
    "d_model": D_MODEL,
    "d_kv": D_KV,
    "d_ff": D_FF,
    "num_layers": LAYERS,
    "num_decoder_layers": LAYERS,
    "num_heads": HEADS,
    "relative_attention_num_buckets": BUCKETS,
    "relative_attention_max_distance": MAX_DISTANCE,
    "layer_norm_epsilon": EPSILON,
    "feed_forward_proj": "relu",
    "dropout_rate": 0.0,
    "n_positions": 64,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
}
SENTENCES = (
    "summarize: translate English to German: translate English to French: to Romanian:",
    "The ferry between the two islands runs again after repairs to its engine.",
    "A new bridge over the river opened on Monday, two years later than planned.",
    "Researchers found that bees remember the colour of flowers for several days.",
    "The council voted to plant three hundred trees along the main road.",
    "Heavy rain closed the railway line for the second time this winter.",
    "The library lends tools, seeds and musical instruments as well as books.",
    "Farmers in the valley expect a good harvest of apples after a mild spring.",
    "An old lighthouse was sold to a family that wants to live in it.",
)


def build(folder: Path) -> Path:
    """Write config.json, generation_config.json, tokenizer.json and the two graphs; returns it."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    generation = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    tokenizer().save(str(folder / "tokenizer.json"))
    tensors = weights()
    onnx.save(encoder(tensors), folder / "onnx" / "encoder_model.onnx")
    onnx.save(merged_decoder(tensors), folder / "onnx" / "decoder_model_merged.onnx")
    return folder


def tokenizer() -> Tokenizer:
    """Unigram, with the first tokens and the ending of T5's: words, and letters for all others.

    Not trained: tokenizers' trainer gives another vocabulary each time.
    """
    text = " ".join(SENTENCES)
    words = sorted({f"▁{word}" for word in text.split()})[: VOCABULARY - 80]
    letters = sorted(set(text.replace(" ", "▁")) | set("abcdefghijklmnopqrstuvwxyz"))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    pieces += [(word, -4.0) for word in words] + [(letter, -6.0) for letter in letters]
    made = Tokenizer(models.Unigram(pieces, unk_id=2))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return made


def weights() -> dict[str, np.ndarray]:
    """Tensors, float32, by the names and in the shapes of transformers.

    The decoder's are large, so that what it reads counts for more than the token before, and so is
    the embedding of the token that ends an answer, so that some do end.
    """
    random = np.random.default_rng(SEED)
    inner = HEADS * D_KV

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return random.normal(0, scale, shape).astype(np.float32)

    tensors = {"shared.weight": normal(VOCABULARY, D_MODEL)}
    tensors["shared.weight"][CONFIG["eos_token_id"]] *= 1.3
    for stack in ("encoder", "decoder"):
        large = 3.0 if stack == "decoder" else 1.0
        attentions = ["SelfAttention"] + ["EncDecAttention"] * (stack == "decoder")
        for block in range(LAYERS):
            layers = f"{stack}.block.{block}.layer"
            for at, kind in enumerate(attentions):
                for part in "qkv":
                    tensors[f"{layers}.{at}.{kind}.{part}.weight"] = normal(
                        inner, D_MODEL, scale=D_MODEL**-0.5
                    )
                tensors[f"{layers}.{at}.{kind}.o.weight"] = normal(D_MODEL, inner, scale=large)
                tensors[f"{layers}.{at}.layer_norm.weight"] = 1 + normal(D_MODEL, scale=0.1)
            at = len(attentions)
            tensors[f"{layers}.{at}.DenseReluDense.wi.weight"] = normal(D_FF, D_MODEL, scale=0.5)
            tensors[f"{layers}.{at}.DenseReluDense.wo.weight"] = normal(
                D_MODEL, D_FF, scale=0.5 * large
            )
            tensors[f"{layers}.{at}.layer_norm.weight"] = 1 + normal(D_MODEL, scale=0.1)
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        tensors[bias] = normal(BUCKETS, HEADS)
        tensors[f"{stack}.final_layer_norm.weight"] = 1 + normal(D_MODEL, scale=0.1)
    return tensors


def buckets(distance: np.ndarray, *, both_ways: bool) -> np.ndarray:
    """T5's buckets of relative positions (key less query): exact when near, wider when far."""
    count, offset = BUCKETS, np.zeros_like(distance)
    if both_ways:
        count //= 2
        offset = np.where(distance > 0, count, 0)
        distance = np.abs(distance)
    else:
        distance = -np.minimum(distance, 0)
    exact = count // 2
    far = np.log(np.maximum(distance, 1) / exact) / np.log(MAX_DISTANCE / exact)
    wide = np.minimum(exact + (far * (count - exact)).astype(int), count - 1)
    return offset + np.where(distance < exact, distance, wide)


class Graph:
    """Nodes being gathered; the constants of a branch are those of the graph around it."""

    def __init__(self, name: str, weights: dict[str, np.ndarray], around: Graph | None = None):
        self.name, self.weights, self.nodes = name, weights, []
        self.constants: dict[str, np.ndarray] = around.constants if around else {}

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        """Add a node of one output; returns the output's name."""
        output = output or f"{self.name}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: object, dtype: type) -> str:
        array = np.asarray(value, dtype)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def weight(self, name: str) -> str:
        """A matrix for multiplication from the right, or a vector."""
        self.constants[name] = np.ascontiguousarray(self.weights[name].T)
        return name

    def embedded(self, ids: str) -> str:
        self.constants["shared"] = self.weights["shared.weight"]
        return self.op("Gather", "shared", ids)

    def normed(self, x: str, name: str) -> str:
        """Divides by the root of the mean square, without bias."""
        mean = self.op("ReduceMean", self.op("Mul", x, x), axes=[-1], keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.constant(EPSILON, np.float32)))
        return self.op("Mul", self.op("Div", x, root), self.weight(f"{name}.layer_norm.weight"))

    def heads(self, x: str, name: str, output: str = "") -> str:
        """(rows, tokens, d_model) by a matrix to (rows, heads, tokens, d_kv)."""
        product = self.op("MatMul", x, self.weight(f"{name}.weight"))
        shape = self.constant([0, 0, HEADS, D_KV], np.int64)
        split = self.op("Reshape", product, shape)
        return self.op("Transpose", split, perm=[0, 2, 1, 3], output=output)

    def attention(self, query: str, key: str, value: str, bias: str, name: str) -> str:
        """Softmax of query times key plus bias, unscaled, of the values; then the output matrix."""
        turned = self.op("Transpose", key, perm=[0, 1, 3, 2])
        scores = self.op("Add", self.op("MatMul", query, turned), bias)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        flat = self.op(
            "Reshape",
            self.op("Transpose", mixed, perm=[0, 2, 1, 3]),
            self.constant([0, 0, HEADS * D_KV], np.int64),
        )
        return self.op("MatMul", flat, self.weight(f"{name}.o.weight"))

    def feed_forward(self, x: str, name: str) -> str:
        normed = self.normed(x, name)
        wide = self.op("MatMul", normed, self.weight(f"{name}.DenseReluDense.wi.weight"))
        back = self.weight(f"{name}.DenseReluDense.wo.weight")
        return self.op("Add", x, self.op("MatMul", self.op("Relu", wide), back))

    def masked(self, mask: str) -> str:
        """0 where the attention mask (rows, tokens) is 1, else as low as can be."""
        kept = self.op("Cast", mask, to=TensorProto.FLOAT)
        wide = self.op("Unsqueeze", kept, self.constant([1, 2], np.int64))
        lost = self.op("Sub", self.constant(1, np.float32), wide)
        return self.op("Mul", lost, self.constant(np.finfo(np.float32).min, np.float32))

    def length(self, x: str, axis: int) -> str:
        """The size of an axis, int64 ()."""
        return self.op("Gather", self.op("Shape", x), self.constant(axis, np.int64))

    def count(self, start: str, end: str, axis: int) -> str:
        """The numbers from start to end, as a row or a column."""
        numbers = self.op("Range", start, end, self.constant(1, np.int64))
        return self.op("Unsqueeze", numbers, self.constant([axis], np.int64))

    def position_bias(self, first: str, last: str, stack: str) -> str:
        """(1, heads, queries, keys) of the queries from `first` on and all keys below `last`."""
        zero = self.constant(0, np.int64)
        queries, keys = self.count(first, last, 1), self.count(zero, last, 0)
        distance = self.op("Sub", keys, queries)
        near = self.op(
            "Clip",
            distance,
            self.constant(-MAX_DISTANCE, np.int64),
            self.constant(MAX_DISTANCE, np.int64),
        )
        every = np.arange(-MAX_DISTANCE, MAX_DISTANCE + 1)
        table = self.weights[
            f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        ][buckets(every, both_ways=stack == "encoder")]
        if stack == "decoder":
            table = np.where(every[:, None] > 0, np.finfo(np.float32).min, table)
        at = self.op("Add", near, self.constant(MAX_DISTANCE, np.int64))
        bias = self.op("Gather", self.constant(table, np.float32), at)
        turned = self.op("Transpose", bias, perm=[2, 0, 1])
        return self.op("Unsqueeze", turned, self.constant([0], np.int64))

    def made(self, inputs: Iterable = (), outputs: Iterable = ()) -> onnx.GraphProto:
        return helper.make_graph(self.nodes, self.name, list(inputs), list(outputs))

    def model(self, inputs: Iterable, outputs: Iterable) -> onnx.ModelProto:
        graph = self.made(inputs, outputs)
        graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in self.constants.items()
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def floats(name: str, *shape: object) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def whole(name: str, *shape: object) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def encoder(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """input_ids, attention_mask -> last_hidden_state."""
    graph = Graph("encoder", weights)
    x = graph.embedded("input_ids")
    zero = graph.constant(0, np.int64)
    bias = graph.op(
        "Add",
        graph.position_bias(zero, graph.length("input_ids", 1), "encoder"),
        graph.masked("attention_mask"),
    )
    for block in range(LAYERS):
        layer = f"encoder.block.{block}.layer.0"
        normed = graph.normed(x, layer)
        name = f"{layer}.SelfAttention"
        query, key, value = (graph.heads(normed, f"{name}.{part}") for part in "qkv")
        x = graph.op("Add", x, graph.attention(query, key, value, bias, name))
        x = graph.feed_forward(x, f"encoder.block.{block}.layer.1")
    graph.weights = {
        **weights,
        "final.layer_norm.weight": weights["encoder.final_layer_norm.weight"],
    }
    graph.op("Identity", graph.normed(x, "final"), output="last_hidden_state")
    sizes = ("batch_size", "encoder_sequence_length")
    return graph.model(
        [whole("input_ids", *sizes), whole("attention_mask", *sizes)],
        [floats("last_hidden_state", *sizes, D_MODEL)],
    )


def branch(name: str, graph: Graph, *, cached: bool) -> onnx.GraphProto:
    """The decoder, with the keys and values of a cache or without; outputs as in `merged_decoder`.

    As in optimum's, the branch with a cache gives back empty keys and values of the text.
    """
    inner = Graph(name, graph.weights, graph)
    outputs = [f"{name}_logits"]
    x = inner.embedded("input_ids")
    zero = inner.constant(0, np.int64)
    first = inner.length("past_key_values.0.decoder.key", 2) if cached else zero
    last = inner.op("Add", first, inner.length("input_ids", 1))
    bias = inner.position_bias(first, last, "decoder")
    mask = inner.masked("encoder_attention_mask")
    for block in range(LAYERS):
        layer = f"decoder.block.{block}.layer"
        past, present = f"past_key_values.{block}", f"{name}_{block}"
        normed = inner.normed(x, f"{layer}.0")
        attention = f"{layer}.0.SelfAttention"
        query = inner.heads(normed, f"{attention}.q")
        pair = []
        for part, word in (("k", "key"), ("v", "value")):
            new = inner.heads(normed, f"{attention}.{part}")
            output = f"{present}_decoder_{word}"
            if cached:
                inner.op("Concat", f"{past}.decoder.{word}", new, axis=2, output=output)
            else:
                inner.op("Identity", new, output=output)
            pair.append(output)
        x = inner.op("Add", x, inner.attention(query, *pair, bias, attention))
        normed = inner.normed(x, f"{layer}.1")
        attention = f"{layer}.1.EncDecAttention"
        query = inner.heads(normed, f"{attention}.q")
        text = []
        for part, word in (("k", "key"), ("v", "value")):
            output = f"{present}_encoder_{word}"
            if cached:
                text.append(f"{past}.encoder.{word}")
                empty = inner.constant(np.zeros((0, HEADS, 1, D_KV)), np.float32)
                inner.op("Identity", empty, output=output)
            else:
                inner.heads("encoder_hidden_states", f"{attention}.{part}", output=output)
                text.append(output)
            pair.append(output)
        x = inner.op("Add", x, inner.attention(query, *text, mask, attention))
        x = inner.feed_forward(x, f"{layer}.2")
        outputs += pair
    inner.weights = {
        **graph.weights,
        "final.layer_norm.weight": graph.weights["decoder.final_layer_norm.weight"],
    }
    scaled = inner.op("Mul", inner.normed(x, "final"), inner.constant(D_MODEL**-0.5, np.float32))
    inner.op("MatMul", scaled, inner.weight("shared.weight"), output=outputs[0])
    dimensions = [3] + [4] * len(outputs[1:])
    pairs = zip(outputs, dimensions, strict=True)
    return inner.made(outputs=[floats(output, *[None] * rank) for output, rank in pairs])


def merged_decoder(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """input_ids, encoder_*, past_key_values.*, use_cache_branch -> logits, present.*."""
    graph = Graph("decoder", weights)
    names = [
        f"{block}.{side}.{word}"
        for block in range(LAYERS)
        for side in ("decoder", "encoder")
        for word in ("key", "value")
    ]
    sizes = {"decoder": "past_decoder_sequence_length", "encoder": "encoder_sequence_length_out"}
    cache = [
        floats(f"past_key_values.{name}", "batch_size", HEADS, sizes[name.split(".")[1]], D_KV)
        for name in names
    ]
    graph.nodes.append(
        helper.make_node(
            "If",
            ["use_cache_branch"],
            ["logits", *(f"present.{name}" for name in names)],
            then_branch=branch("later", graph, cached=True),
            else_branch=branch("first", graph, cached=False),
        )
    )
    return graph.model(
        [
            whole("encoder_attention_mask", "batch_size", "encoder_sequence_length"),
            whole("input_ids", "batch_size", "decoder_sequence_length"),
            floats("encoder_hidden_states", "batch_size", "encoder_sequence_length", D_MODEL),
            *cache,
            helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]),
        ],
        [
            floats("logits", "batch_size", "decoder_sequence_length", VOCABULARY),
            *(floats(f"present.{name}", None, HEADS, None, D_KV) for name in names),
        ],
    )
