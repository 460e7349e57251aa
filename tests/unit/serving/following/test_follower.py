"""What the registry, the cache and the API's orders make together."""

import asyncio
from dataclasses import replace

import pytest

from model_server.following.answers import Alias, RegisteredModel
from model_server.following.cache import Cache
from model_server.following.follower import Follower, UnknownModelError
from model_server.following.registry import Missing, RegistryError
from model_server.models.target import Target
from model_server.wanted import deployed, parse_wanted

WINE = Target("wine", "1", "models:/wine/1", "a" * 64, "alias champion")
DEMO = Target(
    "demo", "2", "models:/wine/2", "b" * 64, "deployed through the API: models:/wine@trial"
)


class Answers:
    """Stands for a Registry: says what it is told to, when it is told to."""

    because = "alias champion"
    alias = "champion"

    def __init__(self, *targets: Target) -> None:
        self.models: dict[str, RegisteredModel] = {}
        self.targets = targets
        self.problem: str | None = None
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.forgotten: list[Target] = []

    async def desired(self, wanted, _carriers, _timeout):
        answer = {target.name: target for target in self.targets}
        answer |= {entry.name: replace(DEMO, name=entry.name) for entry in wanted}
        self.asked.set()
        await self.may_answer.wait()
        if self.problem:
            raise RegistryError(self.problem)
        return answer

    async def resolve(self, entry):
        if entry.model != "wine":
            return Missing(entry.name, entry.because, "no such registered model")
        return replace(DEMO, name=entry.name)

    def forget(self, target: Target) -> None:
        self.forgotten.append(target)


class Applied:
    """Stands for Deployments: remembers what it was told."""

    state = "serving"
    own_files = frozenset()

    def __init__(self) -> None:
        self.history: list[dict] = []

    def apply(self, desired: dict) -> None:
        self.history.append(desired)

    @property
    def now(self) -> dict:
        return self.history[-1] if self.history else {}

    def find(self, name: str):
        return self if name in self.now else None

    def try_again(self) -> None:
        """Nothing has failed."""


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path, None, 0)
    yield cache
    cache.close()


def follow(cache: Cache, registry: Answers, models: str = "") -> tuple[Follower, Applied]:
    applied = Applied()
    return Follower(registry, parse_wanted(models, "champion"), cache, applied, 0.01), applied


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def running(test):
    """Run a coroutine of the test's, given the cache."""

    def call(cache) -> None:
        asyncio.run(test(cache))

    call.__name__ = test.__name__
    return call


@running
async def test_answer_from_before_an_order_does_not_undo_it(cache):
    registry = Answers(WINE)
    follower, applied = follow(cache, registry)
    task = asyncio.create_task(follower.run())
    await until(lambda: applied.history)
    registry.may_answer.clear()
    registry.asked.clear()
    await registry.asked.wait()
    await follower.deploy(deployed("demo", "models:/wine@trial"))
    await follower.unload("wine")
    before = len(applied.history)
    registry.may_answer.set()
    await until(lambda: len(applied.history) > before + 2)
    task.cancel()
    for desired in applied.history[before - 1 :]:
        assert desired["demo"] == DEMO
        assert desired["wine"].state == "unloaded"


@running
async def test_order_that_makes_no_sense_changes_nothing(cache):
    follower, applied = follow(cache, Answers(WINE), "wine")
    await follower._look()
    for order in (
        follower.deploy(deployed("demo", "models:/nobody/1")),
        follower.undo("wine"),
        follower.unload("demo"),
        follower.load("demo"),
    ):
        with pytest.raises(UnknownModelError):
            await order
    assert applied.now.keys() == {"wine"}
    assert not cache.orders.deployed
    assert not cache.orders.unloaded


@running
async def test_cache_answers_for_what_is_still_asked_for(cache):
    """The registry does not, at the start."""
    other = replace(WINE, name="other", because="SERVING_MODELS has other@x")
    cache.orders.deploy(deployed("demo", "models:/wine@trial"))
    cache.record({"wine": WINE, "demo": DEMO, "other": other}, [])
    registry = Answers()
    registry.problem = "away"
    follower, applied = follow(cache, registry)
    await follower._look()
    assert applied.now == {"wine": WINE, "demo": DEMO}
    assert (follower.knows, follower.status()["problem"]) == (True, "away")
    await follower.unload("wine")
    await follower.load("wine")
    assert applied.now == {"wine": WINE, "demo": DEMO}
    assert registry.forgotten == [WINE]
    await follower.undo("demo")
    assert applied.now == {"wine": WINE}


@running
async def test_folder_gives_way_to_a_deployment(cache):
    follower, applied = follow(cache, Answers(), "demo=/models/demo,own=/models/own")
    await follower._look()
    assert applied.now["demo"].source == "folder demo"
    assert "/models" not in applied.now["demo"].because
    await follower.deploy(deployed("demo", "models:/wine@trial"))
    assert (applied.now["demo"], applied.now["own"].source) == (DEMO, "folder own")
    await follower.undo("demo")
    assert applied.now["demo"].source == "folder demo"


@running
async def test_a_shadow_takes_no_name_that_a_folder_has(cache):
    shadow = replace(DEMO, name="demo", shadows="wine")
    follower, applied = follow(cache, Answers(WINE, shadow), "wine,demo=/models/demo")
    await follower._look()
    assert applied.now["demo"].source == "folder demo"


@running
async def test_without_a_registry_nothing_is_deployed(cache):
    follower, _ = follow(cache, None, "own=/models/own")
    assert follower.knows
    with pytest.raises(UnknownModelError, match="MLFLOW_TRACKING_URI"):
        await follower.deploy(deployed("demo", "models:/wine/1"))


def test_hints_are_of_models_that_the_asker_may_see(cache):
    registry = Answers()
    for name, alias in (("wine", "Champion"), ("beer", "champions"), ("rum", "champion")):
        registry.models[name] = RegisteredModel(name, aliases=[Alias(alias, "1")])
    follower, _ = follow(cache, registry)
    said = follower.hint(lambda name: name == "wine", serves=True)
    assert "'wine'" in said
    assert "beer" not in said
    assert "'Champion'" in follower.why_not("wine")
    assert follower.why_not("rum") is None  # on its way
    assert follower.why_not("gin") is None
    by_name, _ = follow(cache, registry, "wine")  # which has a problem of its own
    assert by_name.hint(lambda _: True, serves=False) is None
    assert by_name.why_not("beer") is None
