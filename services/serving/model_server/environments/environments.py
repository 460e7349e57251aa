"""The environments that versions are served in: the server's where it fits, else one of their own.

    environments/<digest>/           a virtual environment
    environments/<digest>/complete   what is in it, as JSON; without it, the rest is half done
    environments/downloads/          uv's cache, where it has no other place
    pythons/                         interpreters that uv fetched, where it has no other place

<digest> is the recipe's, so models with equal requirements share one. One that no version was
served in for a day goes when versions are swapped next, but not in the first hour after a start,
when what needs it may not be back yet, and takes the downloads along. Files that environments share
are hard links, so that each is whole without the others and without the downloads.
"""

import asyncio
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from model_server.confinement.quarters import enter, move_in
from model_server.environments.messages import MARKER, Built, Fit, Package, Recipe, Step
from model_server.environments.workshop import workshop
from model_server.errors import LoadError
from model_server.processes import process, wire
from model_server.settings import Settings

log = logging.getLogger(__name__)

KEEP_UNUSED = 24 * 3600
SETTLED_AFTER = 3600
BUILDS = min(4, os.cpu_count() or 1)
"""Builds at one time, after the first, which goes alone: what it fetches, the others then share,
while two at one time would each fetch their own."""

LOOKS = 8
"""Looks at one time, each a process for some tenths of a second."""
COMPILE_WITHIN = 120.0
"""Seconds."""

_done = msgspec.msgpack.Decoder(bool)
_fit = msgspec.msgpack.Decoder(Fit)
_step = msgspec.msgpack.Decoder(Step)
_built = msgspec.json.Decoder(Built)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """What a version is served in."""

    python: str | None = None
    """The interpreter; None: the server's."""
    because: str | None = None
    """Why it is the version's own."""
    warnings: list[str] = field(default_factory=list)
    fit: Fit = field(default_factory=Fit)
    packages: list[Package] | None = None
    """Those that the model names, if it is the version's own."""

    def may_lack(self, problem: LoadError) -> bool:
        """Whether what failed may be a requirement that was not known to be used."""
        return not self.python and bool(self.fit.missing) and "No module named" in str(problem)

    def explain(self, problem: LoadError) -> str:
        """What failed, and what of an environment of its own may be why."""
        return "; ".join([str(problem), *(self.warnings if self.python else [])])


class Environments:
    """Finds or builds the environment of each version."""

    def __init__(self, settings: Settings, variables: Mapping[str, str]) -> None:
        """`variables`: those of uv and pip are for the building process, and for it alone."""
        self._settings = settings
        self._folder = settings.cache.absolute() / "environments"
        self._off = settings.environments == "off"
        self._timeout = settings.build_timeout
        self._look_timeout = settings.load_timeout
        self._variables = {k: v for k, v in variables.items() if k.startswith(("UV_", "PIP_"))}
        self._looks = asyncio.Semaphore(LOOKS)
        self._turns = asyncio.Semaphore(1)
        self._is_first = True
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One by digest: equal recipes are built once."""
        self._failed: dict[str, tuple[float, str]] = {}
        """Failures by digest: when it was tried last, and why it could not be built. It holds for
        those who waited meanwhile."""
        self._builds = 0
        self._tidying = asyncio.Lock()
        self._used: Set[str] = frozenset()
        self._started = time.time()

    async def find(self, model: Path, mode: str, say: Say) -> Environment:
        """The environment for the model in this folder. `mode`: `own`, where the server's does
        not fit; `here`, the server's at any rate. `say` is told what is being done. Raises
        LoadError when it needs one that cannot be had."""
        fit = await self._look(model)
        if fit.reasons and mode == "here":
            tried = f"tried with what is here, in spite of {', '.join(fit.reasons)}"
            return Environment(warnings=[tried, *fit.warnings])
        if fit.reasons:
            return await self._own(model, fit, fit.reasons, say)
        return Environment(warnings=fit.warnings, fit=Fit() if mode == "here" else fit)

    async def instead(self, model: Path, first: Environment, say: Say) -> Environment:
        """What a version gets that did not load in the server's: one with all that it requires.
        Raises LoadError."""
        return await self._own(model, first.fit, first.fit.missing, say)

    async def compile(self, python: str, files: list[str]) -> None:
        """Keep bytecode of these files for all to come: a worker in the environment of this
        interpreter had to compile them. What goes wrong costs time, and nothing else."""
        folder = Path(python).parents[1]
        try:
            quarters = await enter(move_in, self._settings, [folder], python, [folder])
            child = await process.spawn(
                "model_server.environments.bytecode",
                files,
                name="compile",
                python=python,
                quarters=quarters,
            )
        except (LoadError, OSError) as error:
            log.warning("packages cannot be compiled", extra={"reason": str(error)})
            return
        try:
            async with asyncio.timeout(COMPILE_WITHIN):
                await child.channel.receive(_done)
        except (TimeoutError, wire.PeerClosedError):
            log.warning("packages are not compiled", extra={"environment": folder.name})
        finally:
            await asyncio.shield(child.end())

    async def tidy(self, used: Set[str]) -> None:
        """Remove what nothing needs, unless something is built, which may need it. `used`: the
        interpreters of the versions that are served."""
        lately, self._used = used | self._used, used
        if not self._builds and not self._tidying.locked():
            async with self._tidying:
                await asyncio.to_thread(self._tidy, lately)

    async def _look(self, model: Path) -> Fit:
        async with self._looks:
            quarters = await enter(move_in, self._settings, [model])
            child = await process.spawn(
                "model_server.environments.fit", str(model), name="fit", quarters=quarters
            )
            try:
                async with asyncio.timeout(self._look_timeout):
                    return await child.channel.receive(_fit)
            except TimeoutError:
                raise LoadError(
                    f"what it needs was not read from its files after {self._look_timeout:g} s "
                    "(SERVING_LOAD_TIMEOUT)"
                ) from None
            except wire.PeerClosedError:
                raise LoadError("what it needs could not be read from its files") from None
            finally:
                await asyncio.shield(child.end())

    async def _own(self, model: Path, fit: Fit, reasons: list[str], say: Say) -> Environment:
        because = ", ".join(reasons)
        needed = f"it needs an environment of its own for {because}"
        if self._off:
            raise LoadError(f"{needed}, and SERVING_ENVIRONMENTS is off")
        if fit.recipe is None:
            raise LoadError(f"{needed}, and workers need Python 3.10 or newer")
        folder = self._folder / fit.recipe.digest
        built = await asyncio.to_thread(_ready, folder)
        if built is None:
            say("waiting for the same environment to be built")
            asked = time.monotonic()
            async with self._locks.setdefault(fit.recipe.digest, asyncio.Lock()):
                built = await asyncio.to_thread(_ready, folder)
                if built is None:
                    failed, problem = self._failed.get(fit.recipe.digest, (-math.inf, None))
                    if failed < asked:
                        problem = await self._in_turn(model, folder, fit.recipe, because, say)
                        if problem:
                            self._failed[fit.recipe.digest] = time.monotonic(), problem
                    if problem:
                        raise LoadError(f"{needed}, which cannot be built: {problem}")
                    built = await asyncio.to_thread(_ready, folder) or Built()
        if lacking := [line for line in built.left_out if line not in fit.recipe.optional]:
            raise LoadError(f"{needed}, which was built without {', '.join(lacking)}")
        return Environment(str(_python(folder)), because, built.warnings, fit, built.packages)

    async def _in_turn(
        self, model: Path, folder: Path, recipe: Recipe, because: str, say: Say
    ) -> str | None:
        """What went wrong, if anything."""
        say("waiting for its turn to build an environment")
        async with self._turns:
            async with self._tidying:  # then nothing is removed until it is built
                self._builds += 1
            try:
                return await self._build(model, folder, recipe, because, say)
            finally:
                self._builds -= 1
                if self._is_first:
                    self._is_first = False
                    for _ in range(BUILDS - 1):
                        self._turns.release()

    async def _build(
        self, model: Path, folder: Path, recipe: Recipe, because: str, say: Say
    ) -> str | None:
        """What went wrong, if anything."""
        facts: dict[str, object] = {"environment": recipe.digest, "because": because}
        log.info("building an environment", extra=facts)
        started = time.monotonic()
        quarters = await enter(workshop, self._settings, model, folder, self._variables)
        child = await process.spawn(
            "model_server.environments.build",
            str(model),
            str(folder),
            recipe,
            self._variables,
            name="build",
            quarters=quarters,
        )
        try:
            async with asyncio.timeout(self._timeout):
                step = await child.channel.receive(_step)
                while step.progress:
                    say(step.progress)
                    step = await child.channel.receive(_step)
        except TimeoutError:
            step = Step(problem=f"not done after {self._timeout:g} s (SERVING_BUILD_TIMEOUT)")
        except wire.PeerClosedError:
            step = Step(problem="the process that built it died")
        finally:
            await asyncio.shield(child.end())
        facts["seconds"] = round(time.monotonic() - started, 3)
        if step.problem:
            log.error("environment cannot be built", extra={**facts, "reason": step.problem})
        else:
            log.info("environment built", extra=facts)
        return step.problem

    def _tidy(self, lately: Set[str]) -> None:
        if time.time() - self._started < SETTLED_AFTER:
            return
        gone = 0
        downloads = self._folder / "downloads"
        folders = [folder for folder in self._folder.glob("*") if folder != downloads]
        for folder in folders:
            if str(_python(folder)) in lately:
                _ready(folder)
            elif _age(folder) > KEEP_UNUSED:
                log.info("unused environment removed", extra={"environment": folder.name})
                (folder / MARKER).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
        if gone or not folders:
            # What the others use is linked from there, and takes no room.
            shutil.rmtree(downloads, ignore_errors=True)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _ready(folder: Path) -> Built | None:
    """What is in it, if it is whole; and notes that it is used."""
    try:
        os.utime(folder / MARKER)
        built = _built.decode((folder / MARKER).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    # A link to an interpreter that may have gone.
    return built if _python(folder).exists() else None


def _age(folder: Path) -> float:
    """Seconds since its last use."""
    try:
        return time.time() - (folder / MARKER).stat().st_mtime
    except OSError:
        return float("inf")
