"""Models asked twice: the reference and this server, alone and among others."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from harness.serving import ModelServer
from host.paths import ROOT
from tests.integration.serving.gallery import catalogue
from tests.integration.serving.reference.comparison import Address, agree
from tests.integration.serving.reference.servers import Reference
from tests.integration.serving.reference.variations import Requests

BURST = 32
"""Requests that are sent before the first answer is read."""


@dataclass(frozen=True)
class Servers:
    """Both, with the same models. Either may refuse some of them: a finding about these alone."""

    reference: Reference
    ours: ModelServer

    def compare(
        self, name: str, family: str, folder: Path, requests: Requests
    ) -> tuple[catalogue.Entry, str]:
        """The model's row in the table, and all that a client would notice, in words."""
        row = catalogue.describe(name, family, folder, self.ours, len(requests))
        here = self.ours.model(name)
        if here.get("state") != "serving":
            answers = noticed = f"not served: {here.get('problem') or here.get('progress')}"
        elif name in self.reference.ended:
            answers = "the reference does not load it"
            noticed = f"{answers}: {self.reference.log(name)}"
        else:
            address = Address(self.ours.port, f"/models/{name}/invocations")
            try:
                problems = differences(self.reference.addresses[name], address, requests)
            except (OSError, HTTPException, ValueError) as error:  # no answer, or no JSON
                problems = [f"{type(error).__name__}: {error}"]
            answers = f"{len(problems)} differ: {problems[0]}" if problems else catalogue.SAME
            noticed = "\n".join([answers, *problems[1:20]]) if problems else ""
        return dataclasses.replace(row, answers=answers), noticed


@contextlib.contextmanager
def served(
    folders: Mapping[str, Path],
    root: Path,
    within: float,
    python: str | Path = sys.executable,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Servers]:
    """`within`: seconds that ours has for all of them. `python`: the reference's."""
    variables = variables or {}
    # Some models were pickled by reference to modules of these tests.
    paths = os.pathsep.join([str(ROOT / "services" / "serving"), str(ROOT)])
    ours = ModelServer(
        root / "ours",
        SERVING_MODELS=",".join(f"{name}={folder}" for name, folder in folders.items()),
        **{"PYTHONPATH": paths, **variables},
    )
    reference = Reference(folders, set(), root, python, variables)
    try:
        ours.process.start()
        reference.start(all_of_them=False)
        # A model that is not decided then has failed.
        with contextlib.suppress(AssertionError):
            ours.wait_for(lambda: all(decided(ours.model(name)) for name in folders), within, "all")
        yield Servers(reference, ours)
    finally:
        ours.stop()
        reference.stop()


def decided(entry: dict) -> bool:
    return entry.get("state") in ("serving", "failed")


def differences(reference: Address, ours: Address, requests: Requests) -> list[str]:
    """What a client would notice, in words. Where the reference answers 500 to a client's mistake,
    ours may be a 4xx."""
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(at.in_turn, requests) for at in (reference, ours)]
        theirs, alone = (answers.result() for answers in asked)
    together = ours.at_once(requests, BURST)
    refuses_all = all(answer.status != 200 for answer in theirs.values())
    return (
        [f"the reference refuses all: {next(iter(theirs.values()))}"] * refuses_all
        + [
            f"{case}\n    theirs: {theirs[case]}\n      ours: {alone[case]}"
            for case in requests
            if not agree(theirs[case], alone[case])
            and not (theirs[case].status >= 500 and 400 <= alone[case].status < 500)
        ]
        + [
            f"{case}\n     alone: {alone[case]}\n   at once: {together[case]}"
            for case in requests
            if not agree(alone[case], together[case])
        ]
    )
