"""The .env reader takes what Compose takes, and names the line that is no setting."""

import json
import os
import shutil
import subprocess

import pytest

from host.user import dotenv
from host.user.terminal import CommandError

COMPOSE = ["docker", "compose"]


@pytest.fixture
def read(tmp_path):
    def read(text, **environ):
        path = tmp_path / ".env"
        path.write_text(text)
        return dotenv.read(path, environ)

    return read


def test_no_file_means_no_settings(tmp_path):
    assert dotenv.read(tmp_path / ".env", {}) == {}


LINES = {
    "A=1": "1",
    "export A=1": "1",
    "A = two words ": "two words",
    "A=": "",
    "A=1 # why": "1",
    "A= # why": "# why",
    "A=#why": "#why",
    "A=http://h:1/#part": "http://h:1/#part",
    "A='$B # literal'": "$B # literal",
    "A='1' # why": "1",
    r'A="say \"x\"" # why': 'say "x"',
    "A=${B}/x": "b/x",
    "A=$B": "b",
    "A=${C:-default}": "default",
    "A=${C}": "",
    r'A="a\\nb"': r"a\nb",
    r"A=a\nb": r"a\nb",
    r"A='a\nb'": r"a\nb",
    "A=\u00e4$Bc${B}\u00e4": "\u00e4b\u00e4",
    "\tA=1\t": "1",
    "# \u2028B=2\x0bB=3\nA=1": "1",
    "\ufeffA=1": "1",
}
# Compose takes these, some of them otherwise than one would think.
REFUSED = (
    *("A=$$B", "A=$1", "A=a$", "A=$(b)", "A=${B:+x}", "A=${C-x}", "A=${B:?x}", "A=${C:-$B}"),
    *(r'A="a\nb"', r'A="a\$B"', r'A="\x41"', r"A='a\'b'", "A='a\nb'", 'A="a\nb"', "A='1'2", "A: 1"),
    *("A=1\t# why", "A=a\rb", "A=a\x0bb", "A=a\u2028b", "A=\xa01", "A=a\x1c", "A.B=1", "\u00c4=1"),
)


@pytest.mark.parametrize(("line", "value"), LINES.items())
def test_value_is_read(read, line, value):
    assert read(line, B="b") == {"A": value}


def test_values_are_those_that_compose_reads(tmp_path):
    """Asked of Compose itself, all lines at once; the mark of UTF-8 is at the file's beginning."""
    if not shutil.which("docker") or subprocess.run([*COMPOSE, "version"], check=False).returncode:
        pytest.skip("docker compose is not here")
    lines = [line.replace("A", f"A{at}", 1) for at, line in enumerate(reversed(LINES))]
    (tmp_path / ".env").write_text("\n".join(lines))
    names = {f"A{at}": f"${{A{at}}}" for at in range(len(lines))}
    service = {"image": "x", "environment": names}
    (tmp_path / "compose.yml").write_text(json.dumps({"services": {"x": service}}))
    asked = subprocess.run(
        [*COMPOSE, "config", "--format", "json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "B": "b"},
        capture_output=True,
        text=True,
        check=True,
    )
    read = json.loads(asked.stdout)["services"]["x"]["environment"]
    # It doubles each dollar, so that what it prints can be read again.
    assert [read[name].replace("$$", "$") for name in names] == list(reversed(LINES.values()))


def test_comments_and_empty_lines_are_passed_over(read):
    assert read("# one\n\nA=1\r\n   # two\nB=2") == {"A": "1", "B": "2"}


def test_value_may_refer_to_a_line_above(read):
    assert read("A=1\nB=${A}2")["B"] == "12"


@pytest.mark.parametrize("line", ["A", "1A=1", "=1", "A B=1", "A='1", 'A="1', "- A=1", *REFUSED])
def test_line_that_is_no_setting_is_named(read, line):
    with pytest.raises(
        CommandError, match=r"\.env line 2: expected NAME=value or NAME='value', found "
    ):
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
