"""Artifacts on S3 pass through the server while they come: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness.tracking import on_postgres_and_s3
from harness.waiting import wait_until

MIB = 2**20
SIZE = 40 * MIB  # several parts
PATH = "/api/2.0/mlflow-artifacts/artifacts/{}"
LIST = "/api/2.0/mlflow-artifacts/artifacts?path={}"
OLD = b"the old one"


@pytest.fixture
def bucket(tracking, s3):
    """What lies in the server's bucket, and what is on its way there."""

    class Bucket:
        client = s3.client()

        def has(self, key: str) -> bool:
            found = self.client.list_objects_v2(Bucket=tracking.bucket, Prefix=key)
            return "Contents" in found

        def uploads(self) -> list[dict[str, str]]:
            found = self.client.list_multipart_uploads(Bucket=tracking.bucket)
            return found.get("Uploads", [])

    return Bucket()


def until_begun(bucket):
    wait_until(bucket.uploads, 20, "an upload in parts")


def until_nothing_is_left(bucket):
    wait_until(lambda: not bucket.uploads(), 20, "the bucket without parts")


@pytest.mark.parametrize("chunked", [False, True], ids=["too short", "chunked"])
def test_a_client_that_leaves_leaves_nothing_and_the_old_one_stays(tracking, bucket, chunked):
    path = f"broken/{chunked}"
    assert httpx.put(tracking.uri + PATH.format(path), content=OLD).status_code == 200
    with tracking.uploading(path, SIZE, chunked=chunked):
        until_begun(bucket)
        assert httpx.get(tracking.uri + PATH.format(path)).content == OLD
    until_nothing_is_left(bucket)
    assert httpx.get(tracking.uri + PATH.format(path)).content == OLD


def test_an_error_of_the_bucket_midway_is_a_503_and_leaves_nothing(tracking, bucket):
    with tracking.uploading("refused/file", SIZE) as connection:
        until_begun(bucket)
        (upload,) = bucket.uploads()
        named = {"Key": upload["Key"], "UploadId": upload["UploadId"], "Bucket": tracking.bucket}
        wait_until(lambda: bucket.client.list_parts(**named).get("Parts"), 20, "its first part")
        bucket.client.abort_multipart_upload(**named)
        send_rest(connection)
        answer = connection.getresponse()
        assert answer.status == 503
        assert b"artifact store" in answer.read()
    assert not bucket.has("refused/file")
    until_nothing_is_left(bucket)


def send_rest(connection):
    try:
        for _ in range(SIZE // MIB // 2):
            connection.send(bytes(MIB))
    except OSError:
        return  # answered meanwhile


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 16 * MIB], ids=str)
def test_what_was_sent_is_what_comes_back_at_the_sizes_of_parts(tracking, bucket, size):
    content = os.urandom(size)
    path = f"sizes/{size}.json"
    assert httpx.put(tracking.uri + PATH.format(path), content=content, timeout=60).is_success
    stored = bucket.client.head_object(Bucket=tracking.bucket, Key=path)
    assert (stored["ContentType"], stored["ContentLength"]) == ("application/json", size)
    with httpx.stream("GET", tracking.uri + PATH.format(path), timeout=60) as answer:
        received = b"".join(answer.iter_raw())
    assert hashlib.sha256(received).digest() == hashlib.sha256(content).digest()
    assert answer.headers["content-length"] == str(size)


def test_parts_that_find_no_room_in_memory_wait_on_the_disk(tracking, bucket):
    """Thirty clients at once, each with two parts."""
    content = os.urandom(9 * MIB)

    def put(number: int) -> int:
        url = tracking.uri + PATH.format(f"many-at-once/{number}")
        return httpx.put(url, content=content, timeout=120).status_code

    with ThreadPoolExecutor(30) as clients:
        assert set(clients.map(put, range(30))) == {200}
    last = httpx.get(tracking.uri + PATH.format("many-at-once/29"), timeout=60).content
    assert last == content
    assert not bucket.uploads()


def test_a_download_has_the_headers_of_mlflows_and_its_length(tracking):
    url = tracking.uri + PATH.format("headers/a 'name'.html")
    httpx.put(url, content=b"0123456789")
    whole = httpx.get(url)
    assert whole.headers["content-type"] == "text/html"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith("attachment; filename")
    assert (whole.content, whole.headers["content-length"]) == (b"0123456789", "10")
    head = httpx.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}


@pytest.mark.parametrize(
    ("wanted", "status", "content", "place"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=10-", 416, None, None),
    ],
)
def test_a_range_is_what_it_says(tracking, wanted, status, content, place):
    url = tracking.uri + PATH.format("ranges/file")
    httpx.put(url, content=b"0123456789")
    answer = httpx.get(url, headers={"Range": wanted})
    assert (answer.status_code, answer.headers.get("content-range")) == (status, place)
    assert content is None or answer.content == content


def test_what_is_no_file_is_said(tracking):
    httpx.put(tracking.uri + PATH.format("folder/file"), content=b"x")
    for method in ("GET", "HEAD"):
        missing = httpx.request(method, tracking.uri + PATH.format("folder/none"))
        folder = httpx.request(method, tracking.uri + PATH.format("folder"))
        assert (missing.status_code, folder.status_code) == (404, 400)
    assert "folder/none" in httpx.get(tracking.uri + PATH.format("folder/none")).json()["message"]
    refused = httpx.put(tracking.uri + PATH.format("folder/"), content=b"x")
    assert refused.status_code == 400


def test_a_bucket_that_dies_midway_cuts_the_download_off(tracking, s3):
    url = tracking.uri + PATH.format("cut/file")
    httpx.put(url, content=os.urandom(SIZE), timeout=60)
    with httpx.stream("GET", url, timeout=60) as answer:
        pieces = answer.iter_bytes(MIB)
        next(pieces)
        s3.kill()
        try:
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)
        finally:
            s3.start()
    assert len(httpx.get(url, timeout=60).content) == SIZE


def test_a_folder_of_many_objects_is_listed_and_deleted_whole(tracking, bucket):
    count = 10_000 if os.environ.get("FULL") == "1" else 1100

    def put(number: int) -> None:
        key = f"pages/folder/{number:05}"
        bucket.client.put_object(Bucket=tracking.bucket, Key=key, Body=b"x")

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(put, range(count)))
    listed = httpx.get(tracking.uri + LIST.format("pages/folder"), timeout=60).json()["files"]
    assert [file["path"] for file in listed] == [f"{number:05}" for number in range(count)]
    assert httpx.delete(tracking.uri + PATH.format("pages/folder"), timeout=60).is_success
    gone = httpx.get(tracking.uri + LIST.format("pages/folder"), timeout=60)
    assert gone.json().get("files", []) == []


def test_no_disk_is_needed_and_a_server_that_is_stopped_leaves_nothing(
    postgres, s3, small_disk, tmp_path
):
    settings = {"TRACKING_GRACE": "1", "TRACKING_WORKERS": "1"}
    server = on_postgres_and_s3(tmp_path / "server", postgres, s3, **settings)
    server.environment["TMPDIR"] = str(small_disk)
    assert server.migrate().returncode == 0
    server.start()
    client = s3.client()

    def uploads() -> list[dict[str, str]]:
        return client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", [])

    try:
        file = httpx.put(server.uri + PATH.format("file"), content=bytes(SIZE), timeout=60)
        assert file.status_code == 200
        assert len(httpx.get(server.uri + PATH.format("file"), timeout=60).content) == SIZE
        with server.uploading("stopped", SIZE):
            wait_until(uploads, 20, "an upload in parts")
            server.process.send(signal.SIGTERM)
            server.process.wait(20)
            assert not uploads()
            left = client.list_objects_v2(Bucket=server.bucket)["Contents"]
            assert [one["Key"] for one in left] == ["file"]
    finally:
        server.stop()
