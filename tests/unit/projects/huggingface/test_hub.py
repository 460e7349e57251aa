"""Files from a hub are what it states, come whole, and come once."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import hub
from common.errors import BadInput
from harness import tiny_t5
from harness.hub import COMMIT, Hub, serving
from harness.ports import free_port
from harness.processes import clean_environment
from host.paths import ROOT

PROJECT = ROOT / "projects" / "huggingface"
NAMES = [
    "config.json",
    "tokenizer.json",
    "onnx/encoder_model.onnx",
    "onnx/decoder_model_merged.onnx",
]
# In a process of its own, because huggingface_hub reads its settings when it is imported.
FETCH = """
import json, sys
from click import ClickException
from hub import fetch
for arguments in json.loads(sys.argv[1]):
    try:
        files = fetch(*arguments)
    except ClickException as error:
        print(json.dumps({"error": error.message}))
    else:
        paths = {name: str(path) for name, path in files.paths.items()}
        print(json.dumps({"commit": files.commit, "paths": paths, "sums": files.sums()}))
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_t5.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def served(tiny):
    with serving(Hub(tiny)) as running:
        yield running


@pytest.fixture
def fetched(tmp_path):
    """Fetches with a cache of the test's own; what came of each call, and what was said."""

    def run(url, *calls, **settings):
        environment = clean_environment(HF_ENDPOINT=url, HF_HOME=tmp_path / "cache", **settings)
        command = [sys.executable, "-c", FETCH, json.dumps(calls)]
        done = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return run


def call(source, revision=COMMIT, names=NAMES):
    """Arguments of `fetch`."""
    return [source, revision, names, "none"]


def assert_whole(outcome, folder):
    """Everything is as it is in the repository."""
    assert list(outcome["paths"]) == NAMES
    for name, path in outcome["paths"].items():
        content = (folder / name).read_bytes()
        assert Path(path).read_bytes() == content
        assert f"{hashlib.sha256(content).hexdigest()}  {name}\n" in outcome["sums"]


def test_a_pinned_revision_is_downloaded_once_and_needs_no_hub_then(served, fetched, tiny):
    (first,), said = fetched(served.url, call(served.repository))
    asked = list(served.asked)
    offline, _ = fetched(served.url, call(served.repository), HF_HUB_OFFLINE="1")
    unreachable, _ = fetched(nowhere(), call(served.repository))

    assert said == "downloaded 0.1 of 0.1 MB\n"
    for outcome in (first, *offline, *unreachable):
        assert outcome["commit"] == COMMIT
        assert_whole(outcome, tiny)
    assert served.asked == asked
    assert not any("generation_config" in path for path in asked)


def test_a_branch_becomes_the_commit_that_it_is_at(served, fetched, tiny):
    (outcome,), _ = fetched(served.url, call(served.repository, "main"))

    assert outcome["commit"] == COMMIT
    assert_whole(outcome, tiny)


def test_a_download_that_breaks_off_goes_on_where_it_was(fetched, tmp_path):
    chunk = 10 * 2**20  # what huggingface_hub writes at a time
    large = tmp_path / "repository" / "large.onnx"
    large.parent.mkdir()
    large.write_bytes(b"0123456789" * (chunk // 5))
    with serving(Hub(large.parent, cut=chunk + 1000)) as hub:
        (outcome,), _ = fetched(hub.url, call(hub.repository, names=[large.name]))

    assert hub.ranges == [f"bytes={chunk}-"]
    assert Path(outcome["paths"][large.name]).read_bytes() == large.read_bytes()


def test_a_file_that_is_not_what_the_hub_states_is_refused_and_not_kept(served, fetched, tiny):
    served.damaged = {"config.json", "onnx/encoder_model.onnx"}

    (small, large, whole), _ = fetched(served.url, *[call(served.repository)] * 3)

    assert_says(small["error"], "source: config.json is damaged", "git", "run again")
    assert_says(large["error"], "source: onnx/encoder_model.onnx is damaged", "sha256")
    assert_whole(whole, tiny)


def test_a_file_that_changed_in_the_cache_is_noticed_and_fetched_again(served, fetched, tiny):
    (outcome,), _ = fetched(served.url, call(served.repository))
    with Path(outcome["paths"]["tokenizer.json"]).open("ab") as file:
        file.write(b" ")
    (damaged, again), _ = fetched(served.url, call(served.repository), call(served.repository))

    assert_says(damaged["error"], "source: tokenizer.json is damaged")
    assert_whole(again, tiny)


def test_without_a_hub_one_line_says_how_to_do_without(fetched):
    url = nowhere()
    (unreachable,), _ = fetched(url, call("a/b"))
    (offline,), _ = fetched(url, call("a/b"), HF_HUB_OFFLINE="1")

    way_out = ("hf download a/b config.json", "--local-dir FOLDER", "-P source=FOLDER")
    assert_says(unreachable["error"], f"source: no hub answers at {url}", *way_out)
    assert_says(offline["error"], "source: HF_HUB_OFFLINE is set", *way_out)


def test_what_the_hub_does_not_have_is_named(served, fetched):
    outcomes, _ = fetched(
        served.url,
        call("someone/else"),
        call(served.repository, "v9"),
        call(served.repository, "9" * 40),
        call(served.repository, names=["onnx/x.onnx"]),
    )

    words = (
        ("source: ", "'someone/else'"),
        ("revision: ", "'v9'"),
        ("revision: ", "9" * 40),
        ("source: ", "no file onnx/x.onnx"),
    )
    for outcome, expected in zip(outcomes, words, strict=True):
        assert_says(outcome["error"], *expected)


def test_a_folder_needs_no_hub(tiny):
    files = hub.fetch(str(tiny), COMMIT, NAMES, "none")

    assert files.commit is None
    assert files.paths == {name: tiny / name for name in NAMES}
    assert files.origin() == {"source": str(tiny)}


@pytest.mark.parametrize(
    "source", ["/nowhere", "./here", "a/b/c", "", "config.json/", "a--b", "srv/t5.git", "data/t5."]
)
def test_what_is_neither_folder_nor_repository_is_refused(source):
    with pytest.raises(BadInput, match=r"^source: no folder [^\n]+$"):
        hub.fetch(source, COMMIT, NAMES, "none")


def test_an_impossible_name_is_not_asked_of_a_hub():
    with pytest.raises(BadInput, match=r"no folder 'a\.\.b'"):
        hub.fetch("a..b", "main", NAMES, "none")


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"^source: '[^']+' has no file config.json$"):
        hub.fetch(str(tmp_path), COMMIT, NAMES, "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{other}  config.json\n", "config.json of .* has sha256 .*, not 0{64}"),
        ("{config}  config.json\n", "has none for onnx/decoder_model_merged.onnx"),
        ("{config}\n", "line 1 of .* is not a sha256 and a name"),
        ("", "is empty"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_other_checksums_than_expected_are_refused(tiny, tmp_path, content, message):
    sums = tmp_path / "SHA256SUMS"
    if isinstance(content, bytes):
        sums.write_bytes(content)
    else:
        config = hashlib.sha256((tiny / "config.json").read_bytes()).hexdigest()
        sums.write_text(content.format(config=config, other="0" * 64))

    with pytest.raises(BadInput, match=rf"^checksums: [^\n]*{message}"):
        hub.fetch(str(tiny), COMMIT, NAMES, str(sums))


def test_the_checksums_of_a_run_are_those_that_another_expects(tiny, tmp_path):
    files = hub.fetch(str(tiny), COMMIT, NAMES, "none")
    (sums := tmp_path / "SHA256SUMS").write_text(files.sums())

    assert hub.fetch(str(tiny), COMMIT, NAMES, str(sums)) == files


def assert_says(message, *words):
    """One line, with all of the words."""
    assert "\n" not in message
    for word in words:
        assert word in message


def nowhere():
    """An address where nothing listens."""
    return f"http://127.0.0.1:{free_port()}"
