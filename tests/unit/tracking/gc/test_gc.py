"""What a clean-up makes of ages and of the URIs that MLflow gives artifacts."""

import pytest

from tracking_server.errors import RefusedError
from tracking_server.gc.age import Age
from tracking_server.gc.command import _bytes
from tracking_server.gc.places import Usage, place, remove, usage

DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("30d", 30 * DAY), ("1d12h", 1.5 * DAY), ("0.5d", DAY / 2), ("2m4s", 124_000)],
)
def test_ages_are_read_as_mlflow_gc_reads_them(text, expected):
    assert Age(text).milliseconds == expected


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1w", "1h1d", "30d ", "1.d", f"{10**12}d"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(RefusedError, match="expected an age like 30d"):
        Age(text)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mlflow-artifacts:/1/run/artifacts", "s3://mlflow/1/run/artifacts"),
        ("mlflow-artifacts://tracking:5000/1/run", "s3://mlflow/1/run"),
        ("http://tracking:5000/api/2.0/mlflow-artifacts/artifacts/1/run", "s3://mlflow/1/run"),
        ("s3://mlflow/1/run/artifacts/", "s3://mlflow/1/run/artifacts"),
        ("s3://mlflow", None),
        ("s3://mlflow-other/1/run", None),
        ("mlflow-artifacts:/", None),
        ("mlflow-artifacts:/../other", None),
        ("s3://mlflow/1//run", None),
        ("runs:/0123/model", None),
        ("file:///srv/mlflow/1", None),
        ("REDACTED-SOURCE-PATH", None),
        ("", None),
        (None, None),
    ],
)
def test_places_are_below_the_store_or_none(uri, expected):
    assert place(uri, "s3://mlflow") == expected


def test_places_in_a_folder():
    assert place("file:///srv/my%20store/1", "/srv/my store") == "/srv/my store/1"
    assert place("/srv/store/1/", "/srv/store") == "/srv/store/1"
    assert place("/srv/store2/1", "/srv/store") is None


def test_a_folder_is_removed_with_the_one_around_it_but_never_the_store(tmp_path):
    run = tmp_path / "1" / "run" / "artifacts"
    (run / "model").mkdir(parents=True)
    (run / "model" / "weights").write_bytes(b"12345")
    assert usage(str(run)) == Usage(files=1, size=5)
    remove(str(run))
    assert list(tmp_path.rglob("*")) == [tmp_path / "1"]
    remove(str(run))  # again: no error
    remove(str(tmp_path / "1"))
    assert tmp_path.exists()
    assert usage(str(tmp_path / "1")) == Usage()


def test_bytes_are_written_for_people():
    assert [_bytes(n) for n in (0, 1023, 1024, 3 * 2**20, 5 * 2**50)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 MiB",
        "5,120.0 TiB",
    ]
