"""Byte code is found in files, and weights are not read for it."""

import io
import pickle
import time
import zipfile
from pathlib import Path

import cloudpickle
import pytest

from model_server.environments import pickled
from model_server.environments.pickled import holds_code

GIB = 2**30


class Many:
    """Some of everything that a pickle is made of, and code between weights."""

    def __init__(self, size: int, code: bytes = b"") -> None:
        self.parts = [1, -(2**70), 1.5, None, "text", {"a": (1, 2)}, {3}, b"x" * size]
        self.code = cloudpickle.loads(code) if code else None
        self.more = bytearray(size)


CODE = cloudpickle.dumps(lambda row: row)


@pytest.fixture
def small(monkeypatch):
    """Makes files of a few MB large."""
    monkeypatch.setattr(pickled, "SMALL", 2**12)
    monkeypatch.setattr(pickled, "LONG", 2**8)


def write(folder: Path, content: bytes) -> Path:
    file = folder / "file"
    file.write_bytes(content)
    return file


def sparse(folder: Path, start: bytes, end: bytes = b"", size: int = 90 * GIB) -> Path:
    """A file of 90 GiB that takes no room."""
    file = folder / "file"
    with file.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)
        stream.seek(0, io.SEEK_END)
        stream.write(end)
    return file


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(("code", "expected"), [(CODE, True), (b"", False)])
def test_code_between_weights_is_found(tmp_path, protocol, code, expected):
    content = cloudpickle.dumps(Many(20_000, code), protocol=protocol)
    assert holds_code(write(tmp_path, content + pickle.dumps(7))) is expected


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("code", "expected"), [(CODE, True), (pickle.dumps(1), False)])
def test_code_is_found_in_the_pickles_of_a_large_zip_file(tmp_path, code, expected):
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights", bytes(range(256)) * 1000)
        archive.writestr("model/data.pkl", code)
    assert holds_code(tmp_path / "file") is expected


@pytest.mark.usefixtures("small")
def test_text_that_names_the_type_in_a_large_array_is_no_code(tmp_path):
    array = b"x" * 10_000 + pickled.NAME + b"x" * 10_000
    assert not holds_code(write(tmp_path, pickle.dumps([array, array])))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # A pickle of one array of 90 GiB, of which nothing more is there.
        (b"\x80\x04\x8e" + (90 * GIB - 11).to_bytes(8, "little"), b".", False),
        (b"\x80\x04\x8e" + (90 * GIB - 11).to_bytes(8, "little"), CODE, True),
        # No pickle and no zip file beyond the first bytes.
        (b"\x80\x04", b"", False),
        (b"\x80\x04", CODE, True),
        (CODE[:-1], b"", True),
        (b"PK\x03\x04", b"", False),
    ],
)
def test_file_of_90_gib_is_looked_at_in_a_moment(tmp_path, start, end, expected):
    file = sparse(tmp_path, start, end)
    since = time.monotonic()
    assert holds_code(file) is expected
    assert time.monotonic() - since < 5


def test_zip_file_of_90_gib_is_looked_at_in_a_moment(tmp_path):
    """PyTorch's layout: the pickle first, then the weights, then the table of both."""
    file = tmp_path / "model.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps([1.0]))
        archive.fp.truncate(90 * GIB)
        archive.fp.seek(90 * GIB)
        archive.start_dir = 90 * GIB
        archive.writestr("model/late.pkl", CODE)
    since = time.monotonic()
    assert holds_code(file)
    assert time.monotonic() - since < 5
