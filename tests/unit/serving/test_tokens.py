"""The file of tokens: what it opens, what it does not, and that it is read again."""

import asyncio

import pytest

from model_server.errors import RefusedError
from model_server.front.tokens import Tokens

GOOD, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "token"


def status(tokens: Tokens, authorization: str | None) -> int:
    try:
        tokens.check(authorization and authorization.encode())
    except RefusedError as refusal:
        return refusal.status
    return 200


async def statuses(tokens: Tokens, *authorizations: str | None) -> list[int]:
    return [status(tokens, each) for each in authorizations]


def write(file, text: str) -> None:
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").chmod(0o600)
    file.with_suffix(".new").replace(file)


def test_without_a_token_nobody_may(file):
    bearer = f"Bearer {GOOD}"
    assert status(Tokens(None), bearer) == 403
    tokens = Tokens(file)
    assert status(tokens, bearer) == 403
    for nothing in ("", "\n\n", "# only a comment\n", "short\n"):
        write(file, nothing)
        assert status(tokens, bearer) == 403
    assert status(Tokens(file.parent), bearer) == 403


def test_right_token_and_wrong_ones(file, caplog):
    write(file, f"# ours\n{GOOD}\n\n  {OTHER}  \r\n")
    tokens = Tokens(file)
    wrong = (f"Bearer {GOOD}x", f"Basic {GOOD}", GOOD, "Bearer", "Bearer # ours", "")
    right = (f"Bearer {GOOD}", f"bearer  {OTHER}")
    assert asyncio.run(statuses(tokens, *right)) == [200, 200]
    assert asyncio.run(statuses(tokens, None, *wrong)) == [401] * 7
    assert GOOD not in caplog.text


def test_file_is_read_again_when_it_changes(file):
    write(file, GOOD)
    tokens = Tokens(file)
    both = (f"Bearer {GOOD}", f"Bearer {OTHER}")
    assert asyncio.run(statuses(tokens, *both)) == [200, 401]
    write(file, OTHER)
    assert asyncio.run(statuses(tokens, *both)) == [401, 200]
    file.unlink()
    assert asyncio.run(statuses(tokens, *both)) == [403, 403]
    write(file, GOOD)
    assert asyncio.run(statuses(tokens, *both)) == [200, 401]


def test_file_that_all_can_read_is_warned_of(file, caplog):
    write(file, GOOD)
    Tokens(file).check(f"Bearer {GOOD}".encode())
    assert not caplog.records
    file.chmod(0o644)
    tokens = Tokens(file)
    for _ in range(2):
        tokens.check(f"Bearer {GOOD}".encode())
    assert [r.message for r in caplog.records] == [
        "every user of this machine can read the token file"
    ]


def test_wrong_tokens_are_counted_in_one_line(file, caplog):
    async def guess() -> None:
        tokens = Tokens(file)
        for number in range(5):
            status(tokens, f"Bearer {number}")
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.02)

    write(file, GOOD)
    asyncio.run(guess())
    (record,) = caplog.records
    assert (record.message, record.count) == ("wrong tokens", 5)
