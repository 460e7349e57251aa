"""`make test`: all tiers that this machine can run, and a loud word about those it cannot.

TIER=unit (or unit,compose) selects, K= is pytest's -k, FULL=1 runs long checks at their whole size.
COMPOSE_TIER=required makes a machine fail that cannot run the compose tier. COVERAGE=1 shows how
much of each package the unit and integration tiers ran, branches too, and takes half as long again.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO

from host.commands import lint
from host.docker import readiness
from host.modes import checks
from host.paths import LOCAL, ROOT, shown
from host.python import coverage, environment
from host.user.options import Options
from host.user.terminal import CommandError, say

TIERS = ("lint", "unit", "integration", "compose")
NO_TESTS = 5  # pytest's status where nothing was selected
BESIDE = LOCAL / "compose-tests.log"
WORKING = LOCAL / "working-tests"
"""Locked by all processes of tests as long as they work, for tests that want to run alone."""
WAITING = {"integration": 1, "compose": 1}
"""Processes of tests beyond one a core: for so much of the time, they wait for others."""
MOST = 4
CORES_TO_SHARE = 4
"""With fewer, the tiers take little less time side by side than one after the other, and tests of
time limits fail by each other's load: 2,009 against 2,276 s on two cores, and two such failures."""
YIELDING = "5"  # containers have the share of one process, and users' waits are measured in them


@dataclass(frozen=True)
class Outcome:
    """verdict: passed, FAILED, NOT RUN, or empty where K selects none of the tier's tests."""

    tier: str
    verdict: str
    seconds: float
    reason: str = ""


def main(options: Options) -> int:
    """Status 0 if something ran, and nothing failed."""
    chosen = _chosen(options.tier)
    checks.check_machine()
    environment.ensure(environment.DEV)
    if options.coverage:
        coverage.forget()
    outcomes = []
    started = time.monotonic()
    try:
        for outcome in _outcomes(chosen, options):
            outcomes.append(outcome)  # noqa: PERF402 - what ran is shown if one is interrupted
    finally:
        _summarise(outcomes, time.monotonic() - started)
        if options.coverage:
            say("\n" + coverage.figures())
    verdicts = {outcome.verdict for outcome in outcomes}
    return 0 if "passed" in verdicts and "FAILED" not in verdicts else 1


def _chosen(tiers: str) -> list[str]:
    wanted = tiers.replace(",", " ").split()
    for name in wanted:
        if name not in TIERS:
            raise CommandError(f"TIER: expected {', '.join(TIERS)}, found {name}")
    return [tier for tier in TIERS if tier in wanted or not wanted]


def _outcomes(chosen: list[str], options: Options) -> Iterator[Outcome]:
    """Run one tier after the other; where there are cores enough, the compose tier, which mostly
    waits for containers, beside the others. It is shown last."""
    first = [tier for tier in chosen if tier != "compose"]
    alone = (os.cpu_count() or 1) < CORES_TO_SHARE or len(first) in (0, len(chosen))
    if alone or readiness.why_no_stack():
        yield from (_run(tier, options) for tier in first)
        if "compose" in chosen:
            yield _run("compose", options)
        return
    LOCAL.mkdir(exist_ok=True)
    with ThreadPoolExecutor(1) as aside, BESIDE.open("w") as output:
        with WORKING.open("w") as others:
            fcntl.flock(others, fcntl.LOCK_SH)
            compose = aside.submit(_timed, "compose", options, output)
            say(f"the compose tier runs beside the others, and writes to {shown(BESIDE)}")
            yield from (_run(tier, options, yielding=True) for tier in first)
        say("\n=== compose ===")
        outcome = compose.result()
        say(BESIDE.read_text())
        yield outcome


def _run(tier: str, options: Options, *, yielding: bool = False) -> Outcome:
    say(f"\n=== {tier} ===")
    if tier == "compose" and (reason := readiness.why_no_stack()):
        say(reason)
        verdict = "FAILED" if options.compose_tier else "NOT RUN"
        return Outcome(tier, verdict, 0, reason)
    if tier == "lint":
        started = time.monotonic()
        verdict = "passed" if lint.run() else "FAILED"
        return Outcome(tier, verdict, time.monotonic() - started)
    return _timed(tier, options, yielding=yielding)


def _timed(
    tier: str, options: Options, output: IO[str] | None = None, *, yielding: bool = False
) -> Outcome:
    started = time.monotonic()
    command = ["nice", "-n", YIELDING] if yielding else []
    command += [str(environment.PYTHON), "-m", "pytest", f"tests/{tier}"]
    workers = min(MOST, (os.cpu_count() or 1) + WAITING.get(tier, 0))
    # Else files of few tests come last, and the longest tests are in such.
    command += ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    if options.coverage and tier != "compose":
        command += ["--cov", "--cov-append", "--cov-report="]
    command += ["-k", options.k] if options.k else []
    variables = {**environment.variables(), "FULL": "1" if options.full else ""}
    variables["TEST_PORTS"] = "16000-20000" if tier == "compose" else "20000-32000"
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=variables,
        check=False,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    )
    empty = options.k and done.returncode == NO_TESTS
    verdict = "empty" if empty else "FAILED" if done.returncode else "passed"
    return Outcome(tier, verdict, time.monotonic() - started)


def _summarise(outcomes: list[Outcome], seconds: float) -> None:
    say(f"\n{'tier':<13}{'':<9}seconds")
    for outcome in outcomes:
        say(f"{outcome.tier:<13}{outcome.verdict:<9}{outcome.seconds:7.0f}")
    say(f"{'all':<22}{seconds:7.0f}")
    for outcome in outcomes:
        if outcome.reason:
            say(f"\n!!! {outcome.tier} tests DID NOT RUN: {outcome.reason}")
            say("!!! nothing here has proved docker-compose.yml on this machine")
