"""What a request brought is in no message about it."""

import io

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model_server.processes.wire import V2
from model_server.scoring.sent import MAX_VALUES, Sent, TooManyValuesError
from tests.unit.serving.scoring.models import request

ROW = {"name": "Ann O'Neill", "city": "Ürz\nburg", "age": 47, "score": 0.123456789, "kind": "a"}
RECORDS = request({"dataframe_records": [ROW, ROW]})
FEATURES = "X has 13 features, but LogisticRegression is expecting 4 features as input."


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("not a float: \"Ann O'Neill\"", 'not a float: "…"'),
        ("no such city: 'Ürz\\nburg'", "no such city: '…'"),
        ("unknown categories ['a'] in column 0", "unknown categories ['…'] in column 0"),
        ("unknown word: Neill", "unknown word: …"),
        ("47 is too old", "… is too old"),
        ("at most 0.5, not 0.12345679", "at most 0.5, not …"),
        ("array([[47.   0.12]])", "array([[….   …]])"),
        ("must be 2 of 'a', or 'b'", "must be 2 of '…', or 'b'"),
        ("'name' must not be 'name'", "'name' must not be 'name'"),
        ("doesn't know 'Ann O'", "doesn't know '…'"),
        ("5 rows of (5, 2)", "5 rows of (5, 2)"),
        (FEATURES, FEATURES),
    ],
)  # fmt: skip
def test_values_are_left_out_and_what_helps_stays(message, told):
    assert Sent(RECORDS).left_out_of(message) == told


def test_numbers_that_count_rows_and_columns_stay():
    sent = Sent(request({"inputs": [[13.0] * 13] * 20}))
    assert sent.left_out_of("X has 13 features and 20 rows") == "X has 13 features and 20 rows"
    assert sent.left_out_of("13.0 is too much") == "… is too much"


@pytest.mark.parametrize(
    ("value", "message", "told"),
    [
        ("Ann O'Neill", "GET /users?name=Ann%20O%27Neill is 404", "GET /users?name=… is 404"),
        ("Ann O'Neill", "GET /users?name=Ann+O%27Neill is 404", "GET /users?name=… is 404"),
        ("Ürz\nburg", r'no {"city": "\u00dcrz\nburg"}', 'no {"city": "…"}'),
        ("U2VjcmV0IG51bWJlcg==", "cannot read b'Secret number'", "cannot read b'…'"),
        (48213.7351, "48,213.74 is too much", "… is too much"),
        (48213.7351, "np.float32(48213.734) is too much", "np.float32(…) is too much"),
        (902817364, "no user_902817364 among 902,817,364", "no user_… among …"),
        (47, "[47,123] of 1,000", "[…,123] of 1,000"),
    ],
)
def test_values_are_known_as_libraries_write_them(value, message, told):
    assert Sent(request({"inputs": [value]})).left_out_of(message) == told


def test_beginning_or_end_of_a_long_value_is_left_out():
    value = "a private letter that somebody wrote at length to somebody else"
    sent = Sent(request({"inputs": [value]}))
    assert sent.left_out_of(f"no: {value[:30]}...{value[-20:]}") == "no: …...…"
    assert sent.left_out_of(f"no: {value[:30]}") == "no: …"


def _parquet() -> bytes:
    file = io.BytesIO()
    pd.DataFrame({"col": ["secret-1"], "number": [123.25]}).to_parquet(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "one",
    [
        request({"inputs": {"col": ["secret-1"], "number": [123.25]}}),
        request(
            {"dataframe_split": {"columns": ["col", "number"], "data": [["secret-1", 123.25]]}}
        ),
        request({"inputs": {"other": 1}, "params": {"col": "secret-1", "number": 123.25}}),
        request({"messages": [{"col": "secret-1", "number": 123.25}]}),
        request(b"col,number\nsecret-1,123.25\n", content_type="text/csv"),
        request(_parquet(), content_type="application/vnd.apache.parquet"),
        request(
            {
                "inputs": [
                    {"name": "col", "shape": [1], "datatype": "BYTES", "data": ["secret-1"]},
                    {"name": "number", "shape": [1], "datatype": "FP64", "data": [123.25]},
                ]
            },
            protocol=V2,
        ),
    ],
    ids=["inputs", "split", "params", "messages", "csv", "parquet", "v2"],
)  # fmt: skip
def test_values_are_known_in_every_form_of_a_request(one):
    told = Sent(one).left_out_of("column 'col' or number holds secret-1 and 123.25")
    assert told == "column 'col' or number holds … and …"


@pytest.mark.parametrize(
    "one",
    [
        request({"inputs": list(range(MAX_VALUES + 1))}),
        request(b'{"inputs": '),
        request(b"\xff\xfe", content_type="text/csv"),
        request(b"no parquet", content_type="application/vnd.apache.parquet"),
    ],
)
def test_request_of_which_nothing_is_told(one):
    with pytest.raises(TooManyValuesError):
        Sent(one)


@settings(max_examples=200, deadline=None)
@given(
    value=st.text(min_size=3).filter(lambda text: len(text.strip()) > 2),
    number=st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda one: len(repr(one).partition("e")[0].replace("-", "").replace(".", "")) > 1
    ),
)
@example(value="…" * 20, number=10.0)
def test_quoted_text_and_numbers_never_come_through(value, number):
    sent = Sent(request({"inputs": {"a": [value], "b": [number]}}))
    told = sent.left_out_of(" ".join(f"cannot read {value!r} nor {number!r}".split()))
    told = told.replace("cannot read", "").replace("nor", "")
    assert value not in told or set(value) <= {"…"}
    assert repr(number) not in told
