"""`make test`: all tiers that this machine can run, and a loud word about those it cannot.

TIER=unit (or unit,stack) selects, K= is pytest's -k, FULL=1 runs long checks at their whole size.
COMPOSE_TIER=required makes a machine fail that cannot run the compose tier.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass

from host.commands import lint
from host.docker import readiness
from host.modes import checks
from host.paths import ROOT
from host.python import environment
from host.user.options import Options
from host.user.terminal import CommandError, say

TIERS = ("lint", "unit", "integration", "compose")
NO_TESTS = 5  # pytest's status where nothing was selected


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
    outcomes = []
    try:
        for tier in chosen:
            outcomes.append(_run(tier, options))  # noqa: PERF401 - what ran is shown if one is interrupted
    finally:
        _summarise(outcomes)
    verdicts = {outcome.verdict for outcome in outcomes}
    return 0 if "passed" in verdicts and "FAILED" not in verdicts else 1


def _chosen(tiers: str) -> list[str]:
    wanted = tiers.replace(",", " ").split()
    for name in wanted:
        if name not in TIERS:
            raise CommandError(f"TIER: expected {', '.join(TIERS)}, found {name}")
    return [tier for tier in TIERS if tier in wanted or not wanted]


def _run(tier: str, options: Options) -> Outcome:
    say(f"\n=== {tier} ===")
    started = time.monotonic()
    if tier == "compose" and (reason := readiness.why_no_stack()):
        say(reason)
        verdict = "FAILED" if options.compose_tier else "NOT RUN"
        return Outcome(tier, verdict, 0, reason)
    verdict = ("passed" if lint.run() else "FAILED") if tier == "lint" else _pytest(tier, options)
    return Outcome(tier, verdict, time.monotonic() - started)


def _pytest(tier: str, options: Options) -> str:
    command: list[str] = [str(environment.PYTHON), "-m", "pytest", f"tests/{tier}"]
    if tier != "compose":  # whose tests share one stack
        command += ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]
        # Else files of few tests come last, and the longest tests are in such.
        command += ["--no-loadscope-reorder"]
    command += ["-k", options.k] if options.k else []
    variables = {**environment.variables(), "FULL": "1" if options.full else ""}
    status = subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode
    if options.k and status == NO_TESTS:
        return "empty"
    return "passed" if status == 0 else "FAILED"


def _summarise(outcomes: list[Outcome]) -> None:
    say(f"\n{'tier':<13}{'':<9}seconds")
    for outcome in outcomes:
        say(f"{outcome.tier:<13}{outcome.verdict:<9}{outcome.seconds:7.0f}")
    for outcome in outcomes:
        if outcome.reason:
            say(f"\n!!! {outcome.tier} tests DID NOT RUN: {outcome.reason}")
            say("!!! nothing here has proved docker-compose.yml on this machine")
