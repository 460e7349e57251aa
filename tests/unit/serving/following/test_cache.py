"""Versions on disk: whole, checked, bounded."""

import dataclasses
import shutil

import pytest

from model_server.following.cache import Cache, CacheError
from model_server.models.target import Target

REGISTRY = "http://localhost:5000"
LIMIT = 2 * (len("content") + len("weights"))
"""Bytes: of two versions."""


def target(name="wine", version="1", identity="a" * 64) -> Target:
    return Target(name, version, f"models:/{name}/{version}", identity, "alias champion")


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path, REGISTRY, LIMIT)
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


@pytest.mark.parametrize("damage", ["changed", "removed", "replaced", "list"])
def test_damaged_version_is_dropped(cache, damage):
    weights = put(cache, target()) / "data" / "weights"
    match damage:
        case "changed":
            weights.write_text("Weights")
        case "removed":
            weights.unlink()
        case "replaced":
            weights.unlink()
            weights.mkdir()
        case "list":
            (weights.parents[2] / "files").write_text("[]")
    assert cache.find(target()) is None
    assert not weights.parent.exists()


def test_files_that_a_model_writes_beside_its_own_are_no_damage(cache):
    folder = put(cache, target())
    (folder / "data" / "state").write_text("state")
    (folder / "compiled").mkdir()
    assert cache.find(target()) == folder
    assert (folder / "data" / "state").exists()
    (folder / "MLmodel").write_text("Content")
    assert cache.find(target()) is None


def test_version_kept_before_files_were_listed_is_found(cache):
    folder = put(cache, target())
    (folder.parent / "files").unlink()
    assert cache.find(target()) == folder
    (folder / "more").touch()
    assert cache.find(target()) is None


def test_version_without_its_model_is_dropped(cache):
    model = put(cache, target())
    shutil.rmtree(model)
    assert cache.find(target()) is None
    assert not model.parent.exists()


def test_record_survives_a_restart(cache, tmp_path):
    put(cache, target())
    cache.record({"wine": target()}, [])
    cache.close()
    again = Cache(tmp_path, REGISTRY, LIMIT)
    assert again.served() == {"wine": target()}
    assert again.find(target())
    again.close()


def test_record_of_another_registry_counts_for_nothing(cache, tmp_path):
    cache.record({"wine": target()}, [])
    cache.close()
    other = Cache(tmp_path, "http://elsewhere:5000", LIMIT)
    assert other.served() == {}
    other.close()


def test_unreadable_record_is_no_record(cache, tmp_path):
    cache.close()
    (tmp_path / "index.json").write_text('{"served": 7')
    again = Cache(tmp_path, REGISTRY, LIMIT)
    assert again.served() == {}
    again.close()


def versions(count: int) -> list[Target]:
    return [target(version=str(n), identity=str(n) * 64) for n in range(1, count + 1)]


def there(cache: Cache, entries: list[Target]) -> list[str]:
    return [entry.version for entry in entries if cache.find(entry)]


def test_least_recently_needed_version_goes_first(cache):
    all_four = versions(4)
    for version in all_four[:3]:
        put(cache, version)
        cache.record({"wine": version}, [])
        cache.trim([])
    assert there(cache, all_four) == ["2", "3"]
    cache.record({"wine": all_four[1]}, [])
    cache.trim([])
    put(cache, all_four[3])
    cache.record({"wine": all_four[3]}, [])
    cache.trim([])
    assert there(cache, all_four) == ["2", "4"]


def test_needed_versions_stay_over_the_limit(cache, caplog):
    all_four = versions(4)
    for version in all_four:
        put(cache, version)
    cache.record({"wine": all_four[0]}, [])
    for _ in range(2):
        cache.trim([version.identity for version in all_four[1:3]])
    assert there(cache, all_four) == ["1", "2", "3"]
    assert [record.message for record in caplog.records] == [
        "what is served takes more than the cache's limit"
    ]


def test_limit_of_nothing_keeps_what_is_served(tmp_path, caplog):
    cache = Cache(tmp_path, REGISTRY, 0)
    both = versions(2)
    for version in both:
        put(cache, version)
    cache.record({"wine": both[0]}, [])
    cache.trim([])
    assert there(cache, both) == ["1"]
    assert not caplog.records
    cache.close()


def test_full_disk_drops_what_is_not_needed(cache):
    both = versions(2)
    for version in both:
        put(cache, version)
    cache.trim([both[1].identity], to_nothing=True)
    assert there(cache, both) == ["2"]


def test_others_folders_stay(cache, tmp_path):
    environment = tmp_path / "environments" / "a"
    environment.mkdir(parents=True)
    cache.trim([], to_nothing=True)
    assert environment.exists()


def test_what_is_on_its_way_back_stays_on_record(cache):
    """Holds after a restart without a registry, until all are loaded."""
    wine, other, gone = target(), target("other", identity="c" * 64), target("gone")
    cache.record({"wine": wine, "other": other, "gone": gone}, [])
    cache.record({"wine": wine}, [wine, other])
    assert cache.served() == {"wine": wine, "other": other}
    moved = dataclasses.replace(other, version="2", identity="d" * 64)
    cache.record({"wine": wine}, [wine, moved])
    assert cache.served() == {"wine": wine, "other": other}
    cache.record({"wine": wine, "other": moved}, [wine, moved])
    assert cache.served() == {"wine": wine, "other": moved}


def test_tags_are_on_record(cache, tmp_path):
    tagged = dataclasses.replace(target(), tags={"serving.batch": "off"})
    cache.record({"wine": tagged}, [])
    cache.close()
    again = Cache(tmp_path, REGISTRY, LIMIT)
    assert again.served()["wine"].tags == {"serving.batch": "off"}
    again.close()


def test_half_a_download_is_gone_after_a_restart(cache, tmp_path):
    cache.incoming(target()).mkdir()
    cache.close()
    again = Cache(tmp_path, REGISTRY, LIMIT)
    assert again.find(target()) is None
    assert not list((tmp_path / "incoming").iterdir())
    again.close()


@pytest.mark.usefixtures("cache")
def test_folder_is_for_one_server_alone(tmp_path):
    with pytest.raises(CacheError, match="another model-server"):
        Cache(tmp_path, REGISTRY, LIMIT)


def test_reason_does_not_make_another_version(cache):
    put(cache, target())
    assert cache.find(dataclasses.replace(target(), because="SERVING_MODELS has wine"))
