"""`model-server tokens`, as typed."""

import pytest

from model_server.command import run


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVING_MODELS", f"demo={tmp_path}")
    monkeypatch.setenv("SERVING_CACHE", str(tmp_path))


def tokens(capsys, *arguments: str) -> tuple[int, str, str]:
    status = run(["tokens", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_token_is_printed_once_and_alone(capsys):
    status, text, hint = tokens(capsys, "add", "app", "--models", "wine,triage", "--rate", "50")
    assert (status, len(text.splitlines())) == (0, 1)
    assert text.startswith("mst_")
    assert "Authorization: Bearer" in hint
    _, listed, _ = tokens(capsys, "list")
    assert text.strip() not in listed
    assert listed.splitlines()[1].split()[:3] == ["app", "triage,wine", "50/s"]
    status, again, _ = tokens(capsys, "rotate", "app", "--grace", "1d")
    assert status == 0
    assert again != text
    _, listed, _ = tokens(capsys, "list")
    assert [line.split()[-1] for line in listed.splitlines()[1:]].count("never") == 1
    assert tokens(capsys, "remove", "app")[:2] == (0, "removed app\n")
    assert len(tokens(capsys, "list")[1].splitlines()) == 1


def test_a_name_with_a_comma_or_of_a_star_alone_is_one_model(capsys):
    assert tokens(capsys, "add", "app", "--models", "a%2Cb,%2A,50%25")[0] == 0
    assert tokens(capsys, "list")[1].splitlines()[1].split()[1] == "%2A,50%25,a%2Cb"
    assert tokens(capsys, "add", "all", "--models", "wine,*")[0] == 0
    assert "all models" in tokens(capsys, "list")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add", "app"], "opens nothing"),
        (["add", "app", "--manage"], "opens nothing"),
        (["add", "app", "--manage", "--metrics"], "manages nothing"),
        (["remove", "app"], "no token app"),
        (["rotate", "app"], "no token app"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(capsys, arguments, reason):
    status, out, error = tokens(capsys, *arguments)
    assert (status, out) == (1, "")
    assert reason in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "a b", "--metrics"],
        ["add", "app", "--metrics", "--rate", "0"],
        ["add", "app", "--metrics", "--rate", "nan"],
        ["add", "app", "--metrics", "--expires", "30"],
        ["add", "app", "--metrics", "--expires", "0d"],
        ["rotate", "app", "--grace", "-1d"],
    ],
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(SystemExit) as end:
        run(["tokens", *arguments])
    assert end.value.code == 2
