"""What can be set for a run of the benchmarks: name, default and meaning in one table."""

from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any


def option(default: Any, meaning: str) -> Any:
    """A field that is also a flag."""
    return field(default=default, metadata={"help": f"{meaning} [{default or 'none'}]"})


@dataclass(frozen=True)
class Options:
    """Sizes of everything that is measured."""

    rounds: int = option(5, "alternating rounds of each load")
    seconds: float = option(2.0, "length of one burst of load")
    starts: int = option(5, "starts of each tracking server")
    runs: int = option(2000, "runs that are searched, objects that are listed")
    points: int = option(100_000, "points of the metric whose history is read")
    metrics: int = option(300, "metrics logged by each way of logging")
    megabytes: int = option(1000, "validation, artifacts: size of the file, in millions of bytes")
    loads: str = option("", "tracking: words of the loads to put on it, comma-separated")
    models: str = option("", "serving: the models, comma-separated")
    servers: str = option("", "serving: the servers, comma-separated")
    rows: str = option("", "serving: rows a request, comma-separated")
    clients: str = option("", "serving: clients at one time, comma-separated")
    before: str = option("", "folder of an earlier checkout, whose servers are measured too")
    cores: str = option("all", "serving: the servers' cores, all or rest: without the generator's")
    output: str = option("benchmarks/results", "folder for the figures")
    page: str = option("", "Markdown page to write the figures into, between its two marks")

    def __post_init__(self) -> None:
        if self.page and not Path(self.page).is_file():
            raise ValueError(f"--page: no file {self.page!r}")
        if self.before and not (Path(self.before) / "services").is_dir():
            raise ValueError(f"--before: no checkout of this repository: {self.before!r}")
        if self.cores not in ("all", "rest"):
            raise ValueError(f"--cores: {self.cores!r} is not all or rest")
        for name, least in LEAST.items():
            if not least <= (value := getattr(self, name)) <= MOST:
                raise ValueError(f"--{name}: {value} is not from {least} to {MOST}")


MOST = 100_000
LEAST = {
    "rounds": 1,
    "seconds": 0.5,
    "starts": 1,
    "runs": 1,
    "points": 1,
    "metrics": 10,
    "megabytes": 1,
}
QUICK = {
    "rounds": 1,
    "seconds": 1.0,
    "starts": 1,
    "runs": 100,
    "points": 5000,
    "metrics": 50,
    "megabytes": 10,
    "models": "logistic",
    "rows": "1",
    "clients": "1,64",
}


def flag(one: Field[Any]) -> dict[str, Any]:
    """The arguments of argparse for a field."""
    return {"type": one.type, "metavar": one.name.upper(), "help": one.metadata["help"]}
