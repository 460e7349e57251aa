"""The .env reader takes what Compose takes, and names the line that is no setting."""

import pytest

from host.user import dotenv
from host.user.terminal import CommandError


@pytest.fixture
def read(tmp_path):
    def read(text, **environ):
        path = tmp_path / ".env"
        path.write_text(text)
        return dotenv.read(path, environ)

    return read


def test_no_file_means_no_settings(tmp_path):
    assert dotenv.read(tmp_path / ".env", {}) == {}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A=1", "1"),
        ("A = two words ", "two words"),
        ("A=", ""),
        ("A=1 # why", "1"),
        ("A= # why", ""),
        ("A=http://h:1/#part", "http://h:1/#part"),
        ("A='$B # literal'", "$B # literal"),
        ("A='1' # why", "1"),
        (r'A="say \"x\"" # why', 'say "x"'),
        ("A=${B}/x", "b/x"),
        ("A=$B", "b"),
        ("A=${C:-default}", "default"),
        ("A=${C}", ""),
        ("\ufeffA=1", "1"),
    ],
)
def test_value_is_read_as_compose_reads_it(read, line, value):
    assert read(line, B="b") == {"A": value}


def test_comments_and_empty_lines_are_passed_over(read):
    assert read("# one\n\nA=1\r\n   # two\nB=2") == {"A": "1", "B": "2"}


def test_value_may_refer_to_a_line_above(read):
    assert read("A=1\nB=${A}2")["B"] == "12"


@pytest.mark.parametrize("line", ["A", "1A=1", "=1", "A B=1", "A='1", 'A="1', "A='1'2", "- A=1"])
def test_line_that_is_no_setting_is_named(read, line):
    with pytest.raises(CommandError, match=r"\.env line 2: expected NAME=value, found"):
        read(f"# first\n{line}")


@pytest.mark.parametrize(
    ("name", "way"), [("COMPOSE_FILE", "join both into one line"), ("A", "keep one of the two")]
)
def test_line_that_would_replace_another_is_named(read, name, way):
    with pytest.raises(CommandError, match=rf"\.env line 3: {name} would replace line 1: {way}"):
        read(f"{name}=1\nB=2\n{name}=3")
    assert read(f"{name}=1\n{name}=1") == {name: "1"}


def test_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(CommandError, match=r"\.env cannot be read"):
        dotenv.read(tmp_path / ".env", {})
