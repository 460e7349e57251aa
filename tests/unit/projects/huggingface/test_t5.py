"""What the model writes is what T5's mathematics say, whatever else is in the request."""

import json
import shutil
from functools import cache

import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModelContext
from onnxruntime.quantization import quantize_dynamic

import t5
from harness import tiny_t5
from harness.tiny_t5 import CONFIG, D_MODEL, EPSILON, HEADS, LAYERS, SENTENCES

STEPS = 30
TEXTS = [f"{task}: {text}" for text in SENTENCES[1:] for task in t5.TASKS[:2]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_t5.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder):
    return t5.T5(**artifacts(folder))


@pytest.fixture(scope="module")
def quantized(folder, tmp_path_factory):
    copy = tmp_path_factory.mktemp("quantized") / "tiny"
    shutil.copytree(folder, copy)
    for name in ("encoder_model", "decoder_model_merged"):
        quantize_dynamic(
            folder / "onnx" / f"{name}.onnx",
            copy / "onnx" / f"{name}_quantized.onnx",
            extra_options={"EnableSubgraph": True},
        )
    return artifacts(copy, "_quantized.onnx")


def artifacts(folder, ending=".onnx"):
    return {
        "config": str(folder / "config.json"),
        "tokenizer": str(folder / "tokenizer.json"),
        "encoder": str(folder / "onnx" / f"encoder_model{ending}"),
        "decoder": str(folder / "onnx" / f"decoder_model_merged{ending}"),
    }


class Plain:
    """T5 as its paper and transformers have it: one row, no cache, no padding, in float64."""

    def __init__(self):
        self.weights = {name: w.astype(float) for name, w in tiny_t5.weights().items()}

    def written(self, source, most):
        """Up to `most` tokens, each by a pass over all of the text and all that was written."""
        tokens = [CONFIG["decoder_start_token_id"]]
        text = self.stack("encoder", source, None)
        while len(tokens) <= most and tokens[-1] != CONFIG["eos_token_id"]:
            x = self.stack("decoder", tokens, text)[-1] * D_MODEL**-0.5
            tokens.append(int(np.argmax(self.weights["shared.weight"] @ x)))
        return tokens[1:]

    def stack(self, name, tokens, text):
        x = self.weights["shared.weight"][tokens]
        bias = self.bias(name, len(tokens))
        for block in range(LAYERS):
            layer = f"{name}.block.{block}.layer"
            x = x + self.attention(f"{layer}.0", "SelfAttention", x, None, bias)
            if text is not None:
                x = x + self.attention(f"{layer}.1", "EncDecAttention", x, text, 0.0)
            last = f"{layer}.{1 if text is None else 2}"
            wide = self.norm(last, x) @ self.weights[f"{last}.DenseReluDense.wi.weight"].T
            x = x + np.maximum(wide, 0) @ self.weights[f"{last}.DenseReluDense.wo.weight"].T
        return self.norm(name, x, "final_layer_norm")

    def norm(self, layer, x, name="layer_norm"):
        scale = np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPSILON)
        return x / scale * self.weights[f"{layer}.{name}.weight"]

    def attention(self, layer, kind, x, text, bias):
        x = self.norm(layer, x)
        other = x if text is None else text
        q, k, v = (
            np.stack(np.split(states @ self.weights[f"{layer}.{kind}.{part}.weight"].T, HEADS, -1))
            for part, states in (("q", x), ("k", other), ("v", other))
        )
        scores = q @ k.transpose(0, 2, 1) + bias
        chances = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = chances / chances.sum(axis=-1, keepdims=True) @ v
        return np.concatenate(list(mixed), axis=-1) @ self.weights[f"{layer}.{kind}.o.weight"].T

    def bias(self, name, length):
        """(heads, queries, keys), by how far apart they are; none later in the decoder."""
        table = self.weights[f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        bias = np.empty((HEADS, length, length))
        for query in range(length):
            for key in range(length):
                bias[:, query, key] = table[bucket(key - query, both_ways=name == "encoder")]
                if name == "decoder" and key > query:
                    bias[:, query, key] = -np.inf
        return bias


def bucket(distance, *, both_ways):
    """One of 8: with both ways, 4 for each; half of them for one distance each, others wider."""
    count = 4 if both_ways else 8
    first = 4 if both_ways and distance > 0 else 0
    distance = abs(distance) if both_ways else max(-distance, 0)
    exact = count // 2
    if distance < exact:
        return first + distance
    wide = np.log(distance / exact) / np.log(32 / exact) * (count - exact)
    return first + min(exact + int(wide), count - 1)


@cache
def expected():
    """Tokens of each of TEXTS, by plain mathematics."""
    plain = Plain()
    return [plain.written(source, STEPS) for source in sources()]


def sources():
    """The tokens of TEXTS, cut off where the model cuts them."""
    tokenizer = tiny_t5.tokenizer()
    tokenizer.enable_truncation(CONFIG["n_positions"])
    return [tokenizer.encode(text).ids for text in TEXTS]


def unpadded(rows):
    """Each row up to its end."""
    tokens = []
    for row in rows.tolist():
        end = row.index(1) + 1 if 1 in row else len(row)
        assert set(row[end:]) <= {0}
        tokens.append(row[:end])
    return tokens


def test_rows_of_all_lengths_at_once_get_what_plain_mathematics_give_each_alone(model):
    assert len({len(source) for source in sources()}) > 5
    assert len({len(answer) for answer in expected()}) > 5

    assert unpadded(model.written(sources(), STEPS)) == expected()


def test_a_row_does_not_depend_on_the_others(model):
    together = model.answers(TEXTS, STEPS)

    assert [model.answers([text], STEPS)[0] for text in TEXTS] == together
    assert model.answers(TEXTS[::-1], STEPS) == together[::-1]
    many = TEXTS * 3
    assert len(many) > t5.ROWS
    assert model.answers(many, STEPS) == together * 3


def test_answers_depend_on_the_task_and_on_the_text(model):
    answers = model.answers(TEXTS, STEPS)

    assert all(one != other for one, other in zip(answers[::2], answers[1::2], strict=True))
    assert len(set(answers)) > len(answers) * 2 / 3


def test_max_length_cuts_an_answer_off_and_changes_nothing_before(model):
    whole = model.written(sources(), STEPS)
    for most in (1, 2, 7):
        assert (model.written(sources(), most) == whole[:, :most]).all()


def test_transformers_write_the_same(folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**CONFIG)).eval()
    weights = {name: torch.from_numpy(weight) for name, weight in tiny_t5.weights().items()}
    weights["lm_head.weight"] = weights["shared.weight"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert {name.split(".")[1] for name in missing} <= {"embed_tokens"}
    ids, mask = map(torch.from_numpy, t5.T5(**artifacts(folder)).padded(sources()))

    written = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, num_beams=1
    )

    assert unpadded(written[:, 1:].numpy()) == expected()


def test_a_long_text_is_cut_off_at_its_end(model):
    long = " ".join(SENTENCES[1:] * 20)
    ids = model.tokenizer.encode(f"summarize: {long}").ids

    assert len(ids) == CONFIG["n_positions"]
    assert ids[-1] == CONFIG["eos_token_id"]
    assert model.tokenizer.decode(ids).startswith(f"summarize: {SENTENCES[1]}")
    more = [f"summarize: {long}", f"summarize: {long} and more"]
    assert len(set(model.answers(more, STEPS))) == 1


def test_quantized_files_answer_and_rows_stay_independent(quantized):
    model = t5.T5(**quantized)
    answers = model.answers(TEXTS, STEPS)

    assert [model.answers([text], STEPS)[0] for text in TEXTS] == answers
    assert len(set(answers)) > len(answers) / 2
    model.rows = t5.ROWS  # why they run one by one: in a batch they would not
    assert model.answers(TEXTS, STEPS) != answers


def asked(folder, texts, **params):
    """The answers, asked for as MLflow does."""
    summarizer = t5.Summarizer()
    summarizer.load_context(PythonModelContext(artifacts(folder), None))
    frame = pd.DataFrame({"text": texts})
    params = {"task": "summarize", "max_length": STEPS, **params}
    return summarizer.predict(None, frame, params)["output"].tolist()


def test_a_text_without_a_word_has_an_empty_answer(folder, model):
    text = SENTENCES[1]
    (answer,) = model.answers([f"summarize: {text}"], STEPS)

    assert asked(folder, ["", text, " \n", None]) == ["", answer, "", ""]
    assert asked(folder, ["", ""]) == ["", ""]
    assert asked(folder, []) == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"task": "dance"}, "task: 'dance' is none of: summarize, translate English to German, "),
        ({"task": ""}, "task: '' is none of: "),
        ({"max_length": 0}, "max_length: 0 is not from 1 to 512"),
        ({"max_length": -1}, "max_length: -1 is not from 1 to 512"),
        ({"max_length": 513}, "max_length: 513 is not from 1 to 512"),
    ],
)
def test_params_out_of_bounds_are_the_callers_fault(folder, params, message):
    with pytest.raises(MlflowException) as caught:
        asked(folder, ["a text"], **params)

    assert caught.value.get_http_status_code() == 400
    assert caught.value.message.startswith(message)


def test_the_longest_answer_that_can_be_asked_for_is_given(folder):
    assert len(asked(folder, [SENTENCES[3]], max_length=t5.LONGEST)) == 1


def changed(**config):
    return json.dumps({**CONFIG, **config})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "config.json: is not JSON: "),
        ("config.json", "[]", "config.json: does not describe a T5"),
        ("config.json", changed(model_type="bart"), "config.json: does not describe a T5"),
        ("config.json", changed(vocab_size="many"), "config.json: vocab_size is not a whole"),
        ("config.json", changed(vocab_size=50), "tokenizer.json: has more tokens than the model"),
        ("config.json", changed(eos_token_id=2), "tokenizer.json: does not end a text as"),
        ("tokenizer.json", "{}", "tokenizer.json: is no tokenizer: "),
        ("tokenizer.json", "", "tokenizer.json: is no tokenizer: "),
        ("onnx/encoder_model.onnx", "", "encoder_model.onnx: cannot be loaded: "),
        ("onnx/encoder_model.onnx", "no graph", "encoder_model.onnx: cannot be loaded: "),
    ],
)
def test_files_that_are_no_t5_are_named_in_one_line(folder, tmp_path, file, content, message):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_text(content)

    assert_unusable(tmp_path, message)


def test_a_graph_that_was_cut_off_is_named_in_one_line(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    decoder = tmp_path / "onnx" / "decoder_model_merged.onnx"
    decoder.write_bytes(decoder.read_bytes()[:-1000])

    assert_unusable(tmp_path, "decoder_model_merged.onnx: cannot be loaded: ")


def test_graphs_of_another_kind_are_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    encoder, decoder = (
        tmp_path / "onnx" / f"{name}.onnx" for name in ("encoder_model", "decoder_model_merged")
    )
    whole = decoder.read_bytes()
    shutil.copy(encoder, decoder)
    assert_unusable(tmp_path, "decoder: takes attention_mask, which is not known here")

    decoder.write_bytes(whole)
    shutil.copy(decoder, encoder)
    assert_unusable(tmp_path, "encoder: takes encoder_attention_mask, ")


def test_what_is_not_a_number_is_no_answer(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights = tiny_t5.weights()
    weights["decoder.final_layer_norm.weight"][0] = np.nan
    onnx.save(tiny_t5.merged_decoder(weights), tmp_path / "onnx" / "decoder_model_merged.onnx")

    with pytest.raises(t5.UnusableError, match="not a number"):
        t5.T5(**artifacts(tmp_path)).answers(["summarize: a text"], STEPS)


def assert_unusable(folder, message):
    with pytest.raises(t5.UnusableError) as caught:
        t5.T5(**artifacts(folder))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
