"""The embedding is the real one's, each text is answered by itself, and a head is kept whole."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import triage_training
from feedback import Feedback
from triage_model import Embedder, Head
from triage_report import in_a_name, macro_f1, metrics

TEXTS = [
    "it broke after two days and nobody answers.",
    "i love it!",
    "",
    "!",
    "naïve 漢字 🙂",
    "a longer sentence about the battery, the screen and the sound, which are all fine. " * 40,
]


@pytest.fixture(scope="module")
def embedder():
    return Embedder(**triage_training.MINILM)


def test_what_means_the_same_is_near_and_what_does_not_is_far(embedder):
    asked, same, other = (
        embedder.embed(text)
        for text in (
            "How do I reset my password?",
            "I forgot my login credentials and need new ones.",
            "The soup was cold and salty.",
        )
    )

    assert np.linalg.norm(asked) == pytest.approx(1)
    assert asked @ same > 0.4 > 0.1 > asked @ other


def test_threads_and_company_change_no_bit_of_an_embedding(embedder, monkeypatch):
    together = triage_training.embedded(pd.Series(TEXTS))
    alone = np.array([embedder.embed(text) for text in TEXTS])
    monkeypatch.setenv("ORT_INTRA_OP_NUM_THREADS", "2")
    threaded = Embedder(**triage_training.MINILM)

    assert np.isfinite(alone).all()
    assert (together == alone).all()
    assert (np.array([threaded.embed(text) for text in TEXTS]) == alone).all()


@pytest.mark.parametrize("classes", [["no", "yes"], ["complaint", "neutral", "praise"]])
def test_a_saved_head_answers_as_the_fitted_one(tmp_path, classes):
    random = np.random.default_rng(0)
    inputs, labels = random.normal(size=(60, 384)), np.array(classes * 60)[:60]
    fitted = LogisticRegression().fit(inputs, labels)

    with np.load(triage_training.saved(fitted, tmp_path), allow_pickle=False) as arrays:
        head = Head(**arrays)
    answers = [head.answer(row) for row in inputs]

    assert [label for label, _ in answers] == fitted.predict(inputs).tolist()
    assert [chance for _, chance in answers] == pytest.approx(
        fitted.predict_proba(inputs).max(axis=1).tolist()
    )


def test_macro_f1_weighs_classes_alike_and_takes_the_label_of_wider_answers():
    labels = np.array(["a"] * 9 + ["b"])
    narrow = np.array(["a"] * 10)
    wide = np.array([["a", 0.9]] * 10, dtype=object).ravel()

    assert macro_f1(labels, labels) == 1
    assert macro_f1(labels, narrow) == macro_f1(labels, wide) == pytest.approx(9 / 19)


def test_metrics_are_of_each_class_under_names_that_a_server_takes():
    labels = np.array(["a?b", "a?b", "c"])

    scores = metrics(labels, np.array(["a?b", "c", "c"]))

    assert scores["recall.a_b"] == 0.5
    assert scores["precision.c"] == 0.5
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert in_a_name("größe: 3/4") == "gr__e_ 3/4"


def test_texts_whose_words_never_repeat_have_no_baseline_of_words():
    texts = pd.Series([f"word{number}" for number in range(60)])
    labels = np.array(["a", "b", "c"] * 20)
    feedback = Feedback(texts, labels, texts.to_frame("text"))

    metrics = triage_training.asked_of_baselines(feedback, feedback, [1.0])

    assert {name.partition(".")[2] for name in metrics} == {"most_frequent"}
