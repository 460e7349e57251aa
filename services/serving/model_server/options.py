"""How one version is served: the server's settings, and over them the version's own tags.

A model can say the same, but for the shadow, in the `metadata` of its MLmodel file; tags win.
Tags are read when the version is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from model_server.network import rules
from model_server.network.rules import NOTHING, Network

if TYPE_CHECKING:  # workers, in environments of their own too, import this without the settings
    from model_server.settings import Settings

PREFIX = "serving."
SHADOW = PREFIX + "shadow"
_SWITCH = {"on": True, "true": True, "off": False, "false": False}


TAGS = {
    "batch": "on, off, auto: whether requests' rows are merged",
    "fast": "on, off: whether a proven faster engine may predict",
    "replicas": "1 to 64 worker processes",
    "memory": "MiB that a worker may use, 0 for no limit",
    "threads": "1 to 256 requests that a worker answers at one time, unmerged",
    "strict": "on, off: whether requests are refused that MLflow would change",
    "environment": "own: built where the server's does not fit; here: the server's",
    "warmup": "on, off: whether it must answer its own input example first",
    "network": "hosts that it may reach at public addresses, comma-separated: "
    "`host`, `host:port`, `*.host`",
    "shadow": "an alias, `challenger` say, whose version gets the same requests",
}
"""What each can be, after PREFIX."""


@dataclass(frozen=True)
class Options:
    """How one version is served."""

    batch: bool | None = None
    """None: where rows are independent by the kind of model."""
    fast: bool = True
    replicas: int = 1
    memory: int = 0
    """MiB a worker; 0: no limit."""
    threads: int = 1
    """Requests that a worker answers at one time, where the model may wait for others."""
    strict: bool = False
    warmup: bool = True
    shadow: str | None = None
    answer_limit: int = 64 * 2**20
    """Bytes of an answer."""
    environment: str = "own"
    """`own` where the server's does not fit; `here`: the server's at any rate; `off`: refused."""
    network: Network = NOTHING


def options(settings: "Settings", tags: Mapping[str, str]) -> tuple[Options, list[str]]:
    """The version's options, and a warning for each tag that cannot be read and is ignored."""
    chosen = Options(
        batch=_SWITCH.get(settings.batch),
        fast=settings.fast,
        replicas=settings.replicas,
        memory=settings.worker_memory,
        threads=settings.threads,
        strict=settings.strict,
        answer_limit=settings.answer_limit,
        environment=settings.environments,
        network=rules.of_setting(settings.network),
    )
    warnings = []
    for tag, value in sorted(tags.items()):
        if not tag.startswith(PREFIX):
            continue
        if tag == rules.TAG and not rules.heeds_tags(settings.network):
            warnings.append(f"tag {tag} is not heeded: {rules.SETTING}={settings.network}")
            continue
        try:
            chosen = replace(chosen, **_read(tag.removeprefix(PREFIX), str(value).strip(), chosen))
        except (KeyError, ValueError):
            known = TAGS.get(tag.removeprefix(PREFIX))
            instead = f"it can be {known}" if known else f"there are {', '.join(TAGS)}"
            warnings.append(f"tag {tag}={value!r} is ignored: {instead}")
    return chosen, warnings


def _read(name: str, value: str, chosen: Options) -> dict[str, Any]:
    if name == "batch":
        return {"batch": None if value.lower() == "auto" else _SWITCH[value.lower()]}
    if name in ("fast", "strict", "warmup"):
        return {name: _SWITCH[value.lower()]}
    if name == "replicas":
        return {"replicas": _within(int(value), 1, 64)}
    if name == "memory":
        return {"memory": _within(int(value), 0, 2**20)}
    if name == "threads":
        return {"threads": _within(int(value), 1, 256)}
    if name == "environment":
        return {"environment": {"own": "own", "here": "here"}[value.lower()]}
    if name == "network":
        return {"network": chosen.network.with_tag(value)}
    if name == "shadow":
        return {"shadow": value or None}
    raise KeyError(name)


def _within(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise ValueError(number)
    return number
