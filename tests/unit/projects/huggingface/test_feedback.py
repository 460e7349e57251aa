"""Texts that cannot be used are refused in one line that says what and where."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import BadInput
from common.split import Split
from feedback import read_feedback, train_and_held_out
from host.paths import ROOT

SHIPPED = ROOT / "projects" / "huggingface" / "data" / "feedback.csv"
GOOD = "text,label\nit broke,complaint\ni love it,praise\n"


def write(folder, text: str | bytes) -> str:
    path = folder / "feedback.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rows(count: int, labels: str = "ab", reviews: int | None = None) -> str:
    """A table with the labels in turn, and the reviews in turn if a number is given."""
    head = "text,label" + (",review" if reviews else "")
    lines = [
        f"text {n},{labels[n % len(labels)]}" + (f",{n % reviews}" if reviews else "")
        for n in range(count)
    ]
    return "\n".join([head, *lines, ""])


def test_texts_and_labels_are_kept_as_they_are(tmp_path):
    text = 'label,more,text\n1,x,"n/a, says he"\n2,y,null\n3,z, schön \n'

    feedback = read_feedback(write(tmp_path, text))

    assert feedback.texts.tolist() == ["n/a, says he", "null", " schön "]
    assert feedback.labels.tolist() == ["1", "2", "3"]
    assert feedback.frame().columns.tolist() == ["text", "label"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "has no rows"),
        (GOOD.replace("label", "sort"), "target: no column 'label' in .*columns: text, sort"),
        (GOOD.replace("text", "words"), "no column 'text' in .*columns: words, label"),
        ("label\na\nb\n", "has no column besides 'label'"),
        (GOOD + ",praise\n", "column 'text' is empty in row 3"),
        (GOOD + "   ,praise\n", "column 'text' is empty in row 3"),
        (GOOD + "fine,\n", "column 'label' has no label in row 3"),
        (GOOD + "fine, \n", "column 'label' is empty in row 3"),
        ("text,label\n1,a\n2.5,b\n", "column 'text' holds numbers, not texts"),
        ("text,label,review\nfine,a,1\nbad,b,\n", "column 'review' is empty in row 2"),
        (GOOD + "fine,praise,3,4\n", "cannot be read"),
        (b"\x89PNG\r\n\x00\xff", "cannot be read"),
        (b"text,label\nsch\xf6n,praise\n", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(BadInput, match=message) as refusal:
        read_feedback(write(tmp_path, text))

    assert len(refusal.value.message.splitlines()) == 1
    assert len(refusal.value.message) < 500


@pytest.mark.parametrize("source", ["missing.csv", "/", "http://127.0.0.1:9/table.csv", "\0"])
def test_what_cannot_be_opened_is_refused(source):
    with pytest.raises(BadInput, match=r"^data: "):
        read_feedback(source)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_no_file_raises_anything_else(tmp_path_factory, content):
    source = write(tmp_path_factory.getbasetemp(), b"text,label\n" + content)
    try:
        feedback = read_feedback(source)
    except BadInput:
        return
    assert all(text.strip() for text in feedback.texts)


def test_no_review_is_on_both_sides_and_equal_texts_of_no_review_are_together(tmp_path):
    for text in rows(200, reviews=40), rows(200).replace("text 7,", "text 9,"):
        feedback = read_feedback(write(tmp_path, text))

        training, held_out = train_and_held_out(feedback, Split(0.25, 1))

        assert len(training) + len(held_out) == 200
        assert not set(training.group_names()) & set(held_out.group_names())


def test_the_shipped_sentences_never_change_sides():
    """A champion of an earlier release of this project must stay comparable."""
    feedback = read_feedback(str(SHIPPED))

    mask = Split(0.25, 1).holds_out(feedback.groups)

    assert len(feedback) == 3708
    assert mask.sum() == 1133
    reviews = feedback.group_names()[mask].unique()
    assert reviews[:8].tolist() == [7, 9, 12, 15, 16, 17, 19, 26]
    assert dict(zip(*np.unique(feedback.labels, return_counts=True), strict=True)) == {
        "complaint": 941,
        "neutral": 1253,
        "praise": 1514,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows(100, labels="a"), r"^data: column 'label' has one class only: 'a'"),
        (rows(20), r"^test_size: 0.25 of 20 rows holds out \d; at least 10 are needed"),
        (rows(100, reviews=8), r"^data: class 'a' is in \d of the reviews to train on; at least 5"),
        (rows(100) + "rare,c\n", r"^data: class 'c' is in [01] of the texts to train on"),
    ],
)
def test_too_little_to_learn_from_or_to_measure_by_is_refused(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        train_and_held_out(read_feedback(write(tmp_path, text)), Split(0.25, 1))
