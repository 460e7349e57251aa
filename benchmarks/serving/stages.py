"""Where the time of a request goes, by the server's own histograms."""

from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

NAME = "model_server_stage_seconds"
ORDER = ("queue", "read", "predict", "write", "total")


@dataclass(frozen=True)
class Stage:
    """Observations of one stage: of a request, or of a batch of them."""

    count: float
    seconds: float

    def __add__(self, other: "Stage") -> "Stage":
        return Stage(self.count + other.count, self.seconds + other.seconds)

    def __sub__(self, other: "Stage") -> "Stage":
        return Stage(self.count - other.count, self.seconds - other.seconds)


NOTHING = Stage(0, 0)


def read(port: int) -> dict[str, Stage]:
    """What a server has observed since it started, all its versions together."""
    return parse(httpx.get(f"http://127.0.0.1:{port}/metrics").raise_for_status().text)


def parse(page: str) -> dict[str, Stage]:
    """The stages on a page of Prometheus' text format."""
    stages: dict[str, Stage] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in (f"{NAME}_count", f"{NAME}_sum"):
                stage, value = sample.labels["stage"], sample.value
                one = Stage(0, value) if sample.name.endswith("_sum") else Stage(value, 0)
                stages[stage] = stages.get(stage, NOTHING) + one
    return dict(sorted(stages.items(), key=_place))


def between(before: dict[str, Stage], after: dict[str, Stage]) -> dict[str, Stage]:
    """What was observed from one reading to a later one."""
    return {name: one - before.get(name, NOTHING) for name, one in after.items()}


def _place(item: tuple[str, Stage]) -> int:
    return ORDER.index(item[0]) if item[0] in ORDER else len(ORDER) - 1
