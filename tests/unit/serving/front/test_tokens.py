"""The files of tokens: what they open, what they do not, and that they are read again."""

import asyncio
import contextlib
import time

import pytest
from hypothesis import given, strategies

from model_server.errors import RefusedError
from model_server.front.exchange import Exchange
from model_server.front.grants import OPEN, Bucket, Need
from model_server.front.guard import OPEN_PATHS, PROBES
from model_server.front.token_store import Store, TokenError, parse
from model_server.front.tokens import LOOK, NOBODY, Tokens
from model_server.server import application
from model_server.settings import Settings, load

GOOD, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "token"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "tokens.json")


@pytest.fixture
def required(tmp_path, monkeypatch):
    """Tokens that are asked for everywhere; files are looked at each time."""
    monkeypatch.setattr("model_server.front.tokens.LOOK", -1.0)
    return Tokens(settings(None, token_store=tmp_path / "tokens.json", tokens_required=True))


def settings(file, **more) -> Settings:
    return Settings(token_file=file, cache=file.parent if file else "/nonexistent", **more)


def of(file) -> Tokens:
    return Tokens(settings(file))


def request(authorization: str | bytes | None, url: bytes = b"/models/wine") -> Exchange:
    exchange = Exchange(None)
    exchange.url = url
    if authorization is not None:
        header = authorization if isinstance(authorization, bytes) else authorization.encode()
        exchange.headers[b"authorization"] = header
    return exchange


def status(tokens: Tokens, authorization: str | None) -> int:
    """Status of managing a model."""
    try:
        tokens.manager(request(authorization)).need(Need.MANAGEMENT, "wine")
    except RefusedError as refusal:
        return refusal.status
    return 200


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def statuses(tokens: Tokens, *authorizations: str | None) -> list[int]:
    return [status(tokens, each) for each in authorizations]


def write(file, text: str) -> None:
    file.with_suffix(".new").write_text(text)
    file.with_suffix(".new").chmod(0o600)
    file.with_suffix(".new").replace(file)


def test_without_a_token_nobody_may(file):
    bearer = f"Bearer {GOOD}"
    assert status(of(None), bearer) == 403
    tokens = of(file)
    assert status(tokens, bearer) == 403
    for nothing in ("", "\n\n", "# only a comment\n", "short\n"):
        write(file, nothing)
        assert status(tokens, bearer) == 403
    assert status(of(file.parent), bearer) == 403


def test_right_token_and_wrong_ones(file, caplog):
    write(file, f"# ours\n{GOOD}\n\n  {OTHER}  \r\n")
    tokens = of(file)
    wrong = (f"Bearer {GOOD}x", f"Basic {GOOD}", GOOD, "Bearer", "Bearer # ours", "")
    right = (f"Bearer {GOOD}", f"bearer  {OTHER}")
    assert asyncio.run(statuses(tokens, *right)) == [200, 200]
    assert asyncio.run(statuses(tokens, None, *wrong)) == [401] * 7
    assert GOOD not in caplog.text


def test_file_is_read_again_when_it_changes(file):
    write(file, GOOD)
    tokens = of(file)
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
    assert status(of(file), bearer(GOOD)) == 200
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
    file.chmod(0o644)
    tokens = of(file)
    for _ in range(2):
        assert status(tokens, bearer(GOOD)) == 200
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "every user of this machine can read the token file"
    ]


def test_wrong_tokens_are_counted_in_one_line(file, caplog):
    async def guess() -> None:
        tokens = of(file)
        for number in range(5):
            status(tokens, f"Bearer {number}")
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.02)

    write(file, GOOD)
    # Another test may have made the server's log more talkative.
    with caplog.at_level("WARNING", logger="model_server.front.tokens"):
        asyncio.run(guess())
    (record,) = caplog.records
    assert (record.message, record.count) == ("wrong tokens", 5)


def refused(tokens: Tokens, authorization: str | bytes | None, url: bytes = b"/x") -> int:
    """The status of a refusal; 0 when it is let in."""

    async def ask() -> int:
        try:
            tokens.admit(request(authorization, url))
        except RefusedError as refusal:
            return refusal.status
        return 0

    return asyncio.run(ask())


def test_where_no_token_is_asked_for_all_may_do_the_same(file):
    write(file, GOOD)
    tokens = of(file)
    for authorization in (None, "Bearer wrong", bearer(GOOD)):
        assert tokens.admit(request(authorization)) is OPEN


def test_every_path_but_the_probes_takes_a_token(required, store):
    text = store.add("app", models=frozenset({"wine"}))
    for url in (b"/", b"/models", b"/no/such/path", b"/healthz", b"/metrics", b"//livez"):
        assert refused(required, None, url) == 401
        assert refused(required, bearer("wrong"), url) == 401
        assert refused(required, bearer(text), url) == 0
    for url in (b"/livez", b"/readyz?x=1", b"/health", b"/ping", b"/version", b"/v2/health/ready"):
        assert required.admit(request(None, url)) is NOBODY


def test_a_token_opens_its_models_and_no_more(required, store):
    grant = required.admit(request(bearer(store.add("app", models=frozenset({"wine", "triage"})))))
    assert grant.permits("wine")
    assert not grant.permits("other")
    grant.need(Need.MODEL, "wine")
    grant.need(Need.SOME_MODEL)
    for need, model in (
        (Need.MODEL, "other"),
        (Need.METRICS, None),
        (Need.MANAGEMENT, "wine"),
    ):
        with pytest.raises(RefusedError) as refusal:
            grant.need(need, model)
        assert refusal.value.status == 403
    everything = required.admit(request(bearer(store.add("all", models=None, metrics=True))))
    assert everything.permits("other")
    everything.need(Need.METRICS)


def test_every_need_is_refused_to_nobody_but_health():
    for need in Need:
        if need is Need.NOTHING:
            NOBODY.need(need)
            continue
        with pytest.raises(RefusedError) as refusal:
            NOBODY.need(need, "wine")
        assert refusal.value.status == 403


def test_health_alone_needs_nothing():
    table = application(load(["--models", "a=./a"]), None, None, None).table
    open_to_all = {route.pattern.encode() for route in table if route.needs is Need.NOTHING}
    assert open_to_all == {*OPEN_PATHS, *PROBES}
    for route in table:
        names_one = route.needs in (Need.MODEL, Need.MANAGEMENT)
        assert names_one == ("{name}" in route.pattern), route


def test_files_of_one_token_open_what_they_are_for(tmp_path):
    (tmp_path / "manage").write_text(GOOD)
    (tmp_path / "metrics").write_text(OTHER)
    tokens = Tokens(
        settings(tmp_path / "manage", metrics_token_file=tmp_path / "metrics", tokens_required=True)
    )
    manager, watcher = (tokens.admit(request(bearer(text))) for text in (GOOD, OTHER))
    assert (manager.permits("any"), manager.manage, manager.metrics) == (True, True, False)
    assert (watcher.permits("any"), watcher.manage, watcher.metrics) == (False, False, True)
    assert status(tokens, bearer(OTHER)) == 403


def test_management_is_for_the_models_of_the_token(tmp_path, store):
    tokens = Tokens(settings(None, token_store=tmp_path / "tokens.json"))
    assert status(tokens, bearer(store.add("wine", models=frozenset({"wine"}), manage=True))) == 200
    assert status(tokens, bearer(store.add("other", models=frozenset({"x"}), manage=True))) == 403
    assert status(tokens, bearer(store.add("reader", models=None))) == 403


def test_management_counts_where_nothing_else_takes_a_token(tmp_path, store, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    tokens = Tokens(settings(None, token_store=tmp_path / "tokens.json"))
    text = store.add("app", models=None, manage=True, rate=2.0)
    assert [status(tokens, bearer(text)) for _ in range(3)] == [200, 200, 429]


def test_no_way_to_write_a_token_takes_more_memory(required, store):
    text = store.add("app", models=None)
    for spaces in range(1, 200):
        assert refused(required, f"Bearer{' ' * spaces}{text}") == 0
        assert refused(required, f"bearer{' ' * spaces}{text}{' ' * spaces}") == 0
    assert len(required._known) == 1


def test_removed_rotated_and_expired_tokens(required, store, monkeypatch):
    first = store.add("app", models=None)
    assert refused(required, bearer(first)) == 0
    second = store.rotate("app", grace=0)
    assert [refused(required, bearer(text)) for text in (first, second)] == [401, 0]
    third = store.rotate("app", grace=60)
    assert [refused(required, bearer(text)) for text in (first, second, third)] == [401, 0, 0]
    store.remove("app")
    assert [refused(required, bearer(text)) for text in (second, third)] == [401, 401]
    end = time.time() + 60
    soon = store.add("soon", models=None, expires=end)
    assert refused(required, bearer(soon)) == 0
    monkeypatch.setattr(time, "time", lambda: end)
    assert refused(required, bearer(soon)) == 401
    assert store.read() == []


def test_files_are_looked_at_within_a_second(tmp_path, store):
    tokens = Tokens(settings(None, token_store=tmp_path / "tokens.json", tokens_required=True))
    text = store.add("app", models=None)
    assert refused(tokens, bearer(text)) == 0
    store.remove("app")
    time.sleep(LOOK)
    assert refused(tokens, bearer(text)) == 401


def test_a_rate_is_kept_over_rotation(required, store, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    text = store.add("app", models=None, rate=2.0)
    assert [refused(required, bearer(text)) for _ in range(3)] == [0, 0, 429]
    again = store.rotate("app", grace=60)
    assert refused(required, bearer(again)) == 429
    with pytest.raises(RefusedError) as refusal:
        required.admit(request(bearer(again)))
    assert (b"retry-after", b"1") in refusal.value.headers


def test_a_bucket_fills_up_again(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bucket = Bucket(0.5)
    assert bucket.take() == 0
    assert bucket.take() == 2
    now = 1.0
    assert bucket.take() == 1
    now = 2.0
    assert bucket.take() == 0


def test_the_store_holds_no_token_and_is_its_owners(store, tmp_path):
    text = store.add("app", models=None)
    file = tmp_path / "tokens.json"
    assert text not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(TokenError, match="already"):
        store.add("app", models=None)
    for change in (lambda: store.remove("none"), lambda: store.rotate("none", 0)):
        with pytest.raises(TokenError, match="no token none"):
            change()


def test_a_damaged_store_opens_nothing_and_is_left_as_it_is(required, store, tmp_path, caplog):
    text = store.add("app", models=None)
    file = tmp_path / "tokens.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert refused(required, bearer(text)) == 401
    assert "token file cannot be read" in caplog.text
    with pytest.raises(TokenError, match="mend or remove"):
        store.add("other", models=None)
    assert file.read_bytes() == whole[:-9]
    file.write_bytes(whole)
    assert refused(required, bearer(text)) == 0


@given(strategies.binary())
def test_any_content_is_either_tokens_or_refused(content):
    with contextlib.suppress(TokenError):
        assert isinstance(parse(content), list)


@given(strategies.binary())
def test_no_header_but_the_right_one_opens(header):
    class Known(Tokens):
        def _refresh(self) -> None:
            pass

    tokens = Known(settings(None, tokens_required=True))
    assert refused(tokens, header) == 401
