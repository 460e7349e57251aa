"""What a requirement by address, file or hash brings."""

import pytest

from model_server.environments.addressed import address, is_option, requirement


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tiny @ https://example.org/tiny-1.2-py3-none-any.whl#sha256=0", "tiny==1.2"),
        ("tiny @ https://example.org/tiny-1.2.tar.gz", "tiny==1.2"),
        ("tiny @ git+https://example.org/team/tiny.git@v1", "tiny"),
        ("tiny @ file:///somewhere/else", "tiny"),
        ("git+https://example.org/team/tiny-git.git@main#egg=tiny", "tiny"),
        ("git+https://example.org/team/tiny.git@main#subdirectory=a&egg=tiny", "tiny"),
        ("git+ssh://git@example.org/team/tiny.git", "tiny"),
        ("-e git+https://example.org/team/tiny.git#egg=tiny", "tiny"),
        ("--editable=git+https://example.org/team/tiny.git", "tiny"),
        ("https://example.org/a/tiny-1.2%2Bcpu-py3-none-any.whl", "tiny==1.2+cpu"),
        ("./tiny-1.2-cp311-cp311-linux_x86_64.whl", "tiny==1.2"),
        ("wheels/tiny-1.2.zip", "tiny==1.2"),
        ("tiny==1.2 --hash=sha256:0 --hash=sha256:1", "tiny==1.2"),
        ("-e .", None),
        ("./tiny", None),
        ("wheels/own.whl", None),
        ("git+https://example.org/", None),
        ("-c constraints.txt", None),
        ("--index-url https://example.org/tiny-1.2.zip", None),
    ],
)
def test_name_and_version_are_read_where_they_show(line, expected):
    parsed = requirement(line)
    assert (parsed and str(parsed)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tiny @ https://me:secret@example.org/tiny.whl", "https://example.org/tiny.whl"),
        ("git+ssh://git@example.org/tiny.git", "git+ssh://example.org/tiny.git"),
        ("tiny==1", None),
        ("--index-url https://me:secret@example.org/simple", None),
    ],
)
def test_address_is_shown_without_a_login(line, expected):
    assert address(line) == expected


@pytest.mark.parametrize("line", ["--pre", "-c c.txt", "-r r.txt", "--find-links=wheels"])
def test_option_brings_nothing_by_itself(line):
    assert is_option(line)


@pytest.mark.parametrize("line", ["-e .", "--editable .", "--editable=.", "tiny"])
def test_editable_does(line):
    assert not is_option(line)
