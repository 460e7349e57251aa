"""`model-server check`: whether every registered version loads and predicts its input example.

One after the other, as they would be served, in the environment that each of them needs, from files
fetched anew; with each stands whether it is served. Beside a running server it uses a folder of its
own in that one's cache.
"""

import asyncio
import shutil
import time

from model_server.environments.environments import Environments
from model_server.errors import FetchError, LoadError
from model_server.following.answers import RegistryError
from model_server.following.cache import Cache, CacheError
from model_server.following.fetch import Fetcher
from model_server.following.loader import Loader
from model_server.following.registry import Registry
from model_server.models.target import Target
from model_server.remedies import with_remedy
from model_server.server import prepare
from model_server.settings import Settings

TIMEOUT = 600
"""Seconds to ask the registry for all there is."""


def check(settings: Settings) -> int:
    """One line a version, on standard output; 1 if any failed, or the registry did not answer."""
    if settings.registry is None:
        print("failed: MLFLOW_TRACKING_URI: there is no tracking server whose registry to check")
        return 1
    folder = settings.cache / "check"
    own = settings.model_copy(update={"cache": folder, "cache_limit": 0, "replicas": 1, "idle": 0})
    try:
        cache = Cache(folder, own.tracking_uri, 0)
    except CacheError as error:
        print(f"failed: SERVING_CACHE: {error}")
        return 1
    try:
        return asyncio.run(_check(own, cache))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        cache.close()


async def _check(settings: Settings, cache: Cache) -> int:
    credentials = prepare(settings)
    fetcher = Fetcher(settings.tracking_uri, credentials, settings.fetch_timeout)
    environments = Environments(settings, credentials)
    loader = Loader(settings, cache, fetcher, environments)
    registry = Registry(settings.registry or "", credentials, settings.alias)
    try:
        wanted = await registry.every_version()
        targets = await registry.desired(wanted, carriers=False, timeout=TIMEOUT)
        followed = [entry for entry in settings.wanted if entry.needs_registry]
        carriers = not settings.wanted
        served = await registry.desired(followed, carriers=carriers, timeout=TIMEOUT)
    except RegistryError as error:
        print(f"failed: {settings.tracking_uri}: {error}")
        return 1
    finally:
        await registry.close()
    in_use = {target.uri for target in served.values() if isinstance(target, Target)}
    failed = failed_in_use = 0
    for entry in wanted:
        target = targets[entry.name]
        if not isinstance(target, Target):
            continue  # deleted since
        started = time.monotonic()
        problem = await _problem(loader, target)
        failed += problem is not None
        failed_in_use += problem is not None and target.uri in in_use
        verdict = f"FAILED: {problem}" if problem else "loads"
        print(f"{entry.model} version {entry.version} {verdict} "
              f"({'served' if target.uri in in_use else 'not served'}, "
              f"{time.monotonic() - started:.1f} s)", flush=True)  # fmt: skip
    await loader.close()
    print(f"{len(wanted) - failed} of {len(wanted)} registered version(s) load, "
          f"{len(in_use) - failed_in_use} of {len(in_use)} that are served")  # fmt: skip
    return 1 if failed else 0


async def _problem(loader: Loader, target: Target) -> str | None:
    try:
        version = await loader.bring_up(target, lambda step: print(f"  {step}", flush=True))
    except (FetchError, LoadError) as error:
        return with_remedy(" ".join(str(error).split()))
    await loader.retire(version)
    return None
