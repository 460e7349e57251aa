"""Versions on disk: whole, checked, bounded."""

import dataclasses

import pytest

from model_server.following.cache import Cache, CacheError
from model_server.following.registry import Target

REGISTRY = "http://localhost:5000"


def target(name="wine", version="1", identity="a" * 64) -> Target:
    return Target(name, version, f"models:/{name}/{version}", identity, "alias champion")


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path, REGISTRY)
    yield cache
    cache.close()


def put(cache: Cache, entry: Target, content: str = "content"):
    folder = cache.incoming(entry)
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(content)
    (folder / "data" / "weights").write_text("weights")
    return cache.keep(entry, folder)


def test_kept_version_is_found_by_its_identity(cache):
    assert cache.find(target()) is None
    folder = put(cache, target())
    assert cache.find(target()) == folder
    assert (folder / "MLmodel").read_text() == "content"
    assert cache.find(target(identity="b" * 64)) is None


@pytest.mark.parametrize("damage", ["changed", "removed", "added"])
def test_damaged_version_is_dropped(cache, damage):
    weights = put(cache, target()) / "data" / "weights"
    match damage:
        case "changed":
            weights.write_text("Weights")
        case "removed":
            weights.unlink()
        case "added":
            weights.with_name("more").touch()
    assert cache.find(target()) is None
    assert not weights.parent.exists()


def test_record_survives_a_restart(cache, tmp_path):
    put(cache, target())
    cache.record({"wine": target()}, [])
    cache.close()
    again = Cache(tmp_path, REGISTRY)
    assert again.served() == {"wine": target()}
    assert again.find(target())
    again.close()


def test_record_of_another_registry_counts_for_nothing(cache, tmp_path):
    cache.record({"wine": target()}, [])
    cache.close()
    other = Cache(tmp_path, "http://elsewhere:5000")
    assert other.served() == {}
    other.close()


def test_unreadable_record_is_no_record(cache, tmp_path):
    cache.close()
    (tmp_path / "index.json").write_text('{"served": 7')
    again = Cache(tmp_path, REGISTRY)
    assert again.served() == {}
    again.close()


def test_served_previous_and_coming_versions_stay(cache):
    versions = [target(version=str(n), identity=str(n) * 64) for n in range(1, 5)]
    for version in versions[:3]:
        put(cache, version)
        cache.record({"wine": version}, [])
    assert [bool(cache.find(version)) for version in versions] == [False, True, True, False]
    put(cache, versions[3])
    cache.record({"wine": versions[2]}, [versions[3]])
    assert cache.find(versions[3])
    cache.record({"wine": versions[2]}, [])
    assert not cache.find(versions[3])


def test_model_served_no_more_leaves_the_disk(cache):
    """While another version is on its way in, the way back stays."""
    first, second = target(), target(version="2", identity="b" * 64)
    other = target("other", identity="c" * 64)
    for version in (first, other):
        put(cache, version)
    cache.record({"wine": first, "other": other}, [])
    cache.record({"other": other}, [second])
    assert cache.find(first)
    put(cache, second)
    cache.record({"wine": second, "other": other}, [])
    assert cache.find(first)
    cache.record({"other": other}, [])
    assert not cache.find(first)
    assert not cache.find(second)
    assert cache.find(other)


def test_half_a_download_is_gone_after_a_restart(cache, tmp_path):
    cache.incoming(target()).mkdir()
    cache.close()
    again = Cache(tmp_path, REGISTRY)
    assert again.find(target()) is None
    assert not list((tmp_path / "incoming").iterdir())
    again.close()


@pytest.mark.usefixtures("cache")
def test_folder_is_for_one_server_alone(tmp_path):
    with pytest.raises(CacheError, match="another model-server"):
        Cache(tmp_path, REGISTRY)


def test_reason_does_not_make_another_version(cache):
    put(cache, target())
    assert cache.find(dataclasses.replace(target(), because="SERVING_MODELS has wine"))
