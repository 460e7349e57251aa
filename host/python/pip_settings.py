"""Hands what a user has set for pip (index, certificates, proxy) to uv, which does not read it."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# pip's option: uv's variable. The last option of pip's that is set wins over those before it.
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


def in_uv_words(python: Path, known: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `python -m pip` would use, as uv's variables, without those that are known already."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    variables = {
        variable: value
        for option, value in parse(listed.stdout).items()
        if (variable := VARIABLES.get(option)) and variable not in known
    }
    if "UV_INDEX" in variables and "UV_INDEX_STRATEGY" not in known:
        # pip looks at all indexes for the best version; uv by default stops at the first one.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def parse(listing: str) -> dict[str, str]:
    """Options of `pip config list`, whose lines read `section.option='value'`.

    Sections apply in pip's order: [global], [install], then the environment's variables.
    """
    ranks = {"global": 0, "install": 1, ":env:": 2}
    options: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, _, literal = line.partition("=")
        section, _, option = name.rpartition(".")
        rank = ranks.get(section)
        if rank is None or rank < options.get(option, (0, ""))[0]:
            continue
        try:
            value = str(ast.literal_eval(literal))
        except (SyntaxError, ValueError):
            continue
        options[option] = (rank, " ".join(value.split()))
    return {option: value for option, (_, value) in options.items()}
