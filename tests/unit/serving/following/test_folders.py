"""Entries that need no registry, and folders that change."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from model_server.errors import FolderChangedError
from model_server.following.registry import without_registry
from model_server.following.watch import Watch
from model_server.models.folder import look
from model_server.models.launch import Launch
from model_server.options import Options
from model_server.settings import Settings
from model_server.wanted import parse_wanted


@pytest.mark.parametrize(
    ("source", "uri", "is_folder"),
    [
        ("/models/wine", "/models/wine", True),
        ("/models/a%20b", "/models/a%20b", True),
        ("file:///models/a%20b", "/models/a b", True),
        ("file:/models/wine", "/models/wine", True),
        ("s3://bucket/wine", "s3://bucket/wine", False),
        ("runs:/abc/wine", "runs:/abc/wine", False),
    ],
)
def test_sources(source, uri, is_folder):
    target = without_registry(parse_wanted(f"wine={source}", "champion"))["wine"]
    assert (target.uri, target.is_folder) == (uri, is_folder)


def save(folder: Path, weights: str = "weights", *, ago: float = 0) -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, content in {"MLmodel": "model", "data/weights": weights}.items():
        (folder / name).write_text(content)
        status = (folder / name).stat()
        os.utime(folder / name, (status.st_atime - ago, status.st_mtime - ago))
    return folder


def taken(watch: Watch, looks: int = 1, *, works: bool = True):
    for _ in range(looks):
        watch.look(works=works)
    return watch.taken


def test_folder_that_nothing_writes_is_taken_at_once(tmp_path):
    folder = save(tmp_path / "model", ago=60)
    assert taken(Watch(str(folder))) == look(folder)


def test_folder_in_the_middle_of_being_written_is_taken_when_two_looks_agree(tmp_path):
    watch = Watch(str(save(tmp_path / "model")))
    assert taken(watch) is None
    save(tmp_path / "model", "more weights")
    assert taken(watch) is None
    assert taken(watch) == look(tmp_path / "model")


def test_folder_that_appears_late_is_taken(tmp_path):
    watch = Watch(str(tmp_path / "model"))
    assert taken(watch).files == {}
    save(tmp_path / "model")
    assert taken(watch).files == {}
    assert taken(watch).files.keys() == {"MLmodel", "data/weights"}


def test_folder_saved_anew_is_taken(tmp_path):
    folder = save(tmp_path / "model", ago=60)
    watch = Watch(str(folder))
    first = taken(watch)
    save(folder, "WEIGHTS", ago=30)
    assert taken(watch) == first
    assert taken(watch).identity != first.identity


def test_link_that_is_switched_is_another_version(tmp_path):
    for number in "12":
        save(tmp_path / number, ago=60)
        for name in ("MLmodel", "data/weights"):
            os.utime(tmp_path / number / name, ns=(0, 10**18))
    link = tmp_path / "model"
    link.symlink_to("1")
    watch = Watch(str(link))
    first = taken(watch)
    link.unlink()
    link.symlink_to("2")
    second = taken(watch, 2)
    assert (first.files, first.place) == (second.files, str(tmp_path / "1"))
    assert first.identity != second.identity


def test_files_that_a_working_model_writes_beside_its_own_are_no_change(tmp_path):
    folder = save(tmp_path / "model", ago=60)
    watch = Watch(str(folder))
    first = taken(watch)
    (folder / "data" / "state").write_text("state")
    assert taken(watch, 3) == first
    assert taken(watch, 1, works=False) != first


@pytest.mark.parametrize("name", ["requirements.txt", "conda.yaml"])
def test_requirements_that_mlflow_writes_last_are_a_change(tmp_path, name):
    folder = save(tmp_path / "model", ago=60)
    watch = Watch(str(folder))
    taken(watch)
    (folder / name).write_text("pandas==2.2.3")
    assert name in taken(watch, 2).files


def test_files_that_a_model_is_known_to_rewrite_are_no_change(tmp_path):
    folder = save(tmp_path / "model", ago=60)
    (folder / "cache").write_text("old")
    first = look(folder)
    (folder / "cache").write_text("newer")
    own = first.rewritten_in(look(folder))
    assert own == {"cache"}
    watch = Watch(str(folder))
    for content in ("a", "bc", "def"):
        (folder / "cache").write_text(content)
        watch.look(works=False, own=own)
        assert watch.taken.files.keys() == {"MLmodel", "data/weights"}
    (folder / "MLmodel").write_text("another model")
    assert first.rewritten_in(look(folder)) == frozenset()


def test_link_to_a_folder_that_it_is_in_has_an_end(tmp_path):
    folder = save(tmp_path / "model")
    (folder / "data" / "up").symlink_to("..")
    (folder / "nowhere").symlink_to("gone")
    assert look(folder).files.keys() == {"MLmodel", "data/weights"}


def test_no_worker_loads_from_a_folder_that_is_another_by_now(tmp_path):
    """Else two replicas of one version could answer differently."""
    folder = save(tmp_path / "model")
    target = without_registry(parse_wanted(f"wine={folder}", "champion"))["wine"]
    target = replace(target, files=look(folder))
    save(folder, "other weights")
    launch = Launch(target, folder, Settings(), Options(), None)
    with pytest.raises(FolderChangedError):
        asyncio.run(launch())
