"""What a killed server leaves is removed, what a running one uses is not."""

import multiprocessing
import os
import tempfile

import pytest

from tracking_server import temporary
from tracking_server.errors import RefusedError


@pytest.fixture(autouse=True)
def base(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def in_a_child(base, ready, finish):
    tempfile.tempdir = str(base)
    folder = temporary.TemporaryFolder()
    (folder.path / "artifact").write_text("half")
    ready.send(folder.path)
    finish.recv()
    os._exit(9)


def test_a_folder_in_use_stays_and_an_abandoned_one_goes(base):
    context = multiprocessing.get_context("fork")
    ready, ready_end = context.Pipe(duplex=False)
    finish_end, finish = context.Pipe(duplex=False)
    child = context.Process(target=in_a_child, args=(base, ready_end, finish_end))
    child.start()
    other = ready.recv()

    mine = temporary.TemporaryFolder()
    assert other.is_dir()
    assert tempfile.gettempdir() == str(mine.path)
    mine.remove()

    finish.send("now")
    child.join()
    tempfile.tempdir = str(base)
    temporary.TemporaryFolder()
    assert not other.exists()


def test_other_files_are_left_alone(base):
    (base / "other").mkdir()
    temporary.TemporaryFolder()
    assert (base / "other").is_dir()


def test_a_folder_that_cannot_be_written_is_named(base, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(base / "missing"))
    with pytest.raises(RefusedError, match="TMPDIR="):
        temporary.TemporaryFolder()
