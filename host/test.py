"""`make test`: all tiers that this machine can run, and a loud word about those it cannot.

TIER=unit (or unit,stack) selects, K= is pytest's -k, FULL=1 runs long checks at their whole size.
COMPOSE_TIER=required makes a machine fail that cannot run the compose tier.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

from host import compose, doctor, engine, environment, lint
from host.paths import ROOT
from host.terminal import StackError, run_loudly, say

TIERS = ("lint", "unit", "integration", "compose")
NO_TESTS = 5  # pytest's status where nothing was selected


@dataclass(frozen=True)
class Outcome:
    """verdict: passed, FAILED, NOT RUN, or empty where K selects none of the tier's tests."""

    tier: str
    verdict: str
    seconds: float
    reason: str = ""


def main() -> int:
    chosen = _chosen()
    doctor.check_machine()
    environment.ensure(environment.DEV)
    outcomes = []
    try:
        for tier in chosen:
            outcomes.append(_run(tier))  # noqa: PERF401 - what ran is shown if one is interrupted
    finally:
        _summarise(outcomes)
    verdicts = {outcome.verdict for outcome in outcomes}
    return 0 if "passed" in verdicts and "FAILED" not in verdicts else 1


def _chosen() -> list[str]:
    wanted = [name for name in os.environ.get("TIER", "").replace(",", " ").split() if name]
    for name in wanted:
        if name not in TIERS:
            raise StackError(f"TIER: expected {', '.join(TIERS)}, found {name}")
    return [tier for tier in TIERS if tier in wanted or not wanted]


def _run(tier: str) -> Outcome:
    say(f"\n=== {tier} ===")
    started = time.monotonic()
    if tier == "compose" and (reason := why_no_stack()):
        say(reason)
        required = os.environ.get("COMPOSE_TIER") == "required"
        return Outcome(tier, "FAILED" if required else "NOT RUN", 0, reason)
    verdict = ("passed" if lint.run() else "FAILED") if tier == "lint" else _pytest(tier)
    return Outcome(tier, verdict, time.monotonic() - started)


def _pytest(tier: str) -> str:
    command: list[str] = [str(environment.PYTHON), "-m", "pytest", f"tests/{tier}"]
    if tier != "compose":  # whose tests share one stack
        command += ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]
        # Else files of few tests come last, and the longest tests are in such.
        command += ["--no-loadscope-reorder"]
    selection = os.environ.get("K", "")
    command += ["-k", selection] if selection else []
    status = subprocess.run(command, cwd=ROOT, env=environment.variables(), check=False).returncode
    if selection and status == NO_TESTS:
        return "empty"
    return "passed" if status == 0 else "FAILED"


def why_no_stack() -> str:
    """Why the compose tier cannot run here, with the way out, or "" if it can."""
    found = engine.find()
    if found.problem:
        return f"expected {engine.expected()}, found {found.found}: {found.problem}"
    for program in ("git", "curl"):
        if not shutil.which(program):
            return f"expected the command {program}, found none: install {program}"
    return why_no_image(compose.base_images())


def why_no_image(images: Iterable[str]) -> str:
    """Which of `images` is neither here nor to be had, or ""."""
    for image in images:
        if not _have(image):
            return f"the image {image} is not here and cannot be pulled: docker pull {image}"
    return ""


def _have(image: str) -> bool:
    inspected = subprocess.run(
        ["docker", "image", "inspect", image], capture_output=True, check=False
    )
    if inspected.returncode == 0:
        return True
    try:
        run_loudly(["docker", "pull", "--quiet", image], f"pulling {image}")
    except StackError:
        return False
    return True


def _summarise(outcomes: list[Outcome]) -> None:
    say(f"\n{'tier':<13}{'':<9}seconds")
    for outcome in outcomes:
        say(f"{outcome.tier:<13}{outcome.verdict:<9}{outcome.seconds:7.0f}")
    for outcome in outcomes:
        if outcome.reason:
            say(f"\n!!! {outcome.tier} tests DID NOT RUN: {outcome.reason}")
            say("!!! nothing here has proved docker-compose.yml on this machine")
