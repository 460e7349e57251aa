"""What is measured: models, rows a request, clients, and how many rounds of each."""

from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.serving.cases import TITLES
from benchmarks.serving.servers import known

GOALS = ("logistic", "forest")  # the models that the goals are stated for
SIDE_ROUNDS = 1  # where no goal is stated


@dataclass(frozen=True, order=True)
class Cell:
    """One row of the table, for every server."""

    rows: int
    clients: int
    rounds: int


@dataclass(frozen=True)
class Plan:
    """The cells of each model, and the servers' names."""

    cells: dict[str, list[Cell]]
    servers: list[str]


def plan(options: Options) -> Plan:
    """The plan for some options. Raises ValueError for a name that is not there.

    Without --models, --rows and --clients: what the goals are stated for in all rounds, the rest
    in one. With any of them: every combination, in all rounds.
    """
    servers = names("servers", options.servers, [server.name for server in known(options)])
    if options.models or options.rows or options.clients:
        models = names("models", options.models, list(TITLES))
        rows = numbers("rows", options.rows or "1", most=100)
        clients = numbers("clients", options.clients or "1,64", most=1000)
        cells = [Cell(row, client, options.rounds) for row in rows for client in clients]
        return Plan(dict.fromkeys(models, cells), servers)
    return Plan({name: _standard(name, options.rounds) for name in TITLES}, servers)


def _standard(model: str, rounds: int) -> list[Cell]:
    side = min(rounds, SIDE_ROUNDS)
    if model == "text":  # a request of 100 texts takes a good part of a second
        return [Cell(1, 1, side), Cell(1, 64, side), Cell(100, 1, side)]
    if model not in GOALS:
        return [Cell(1, 1, side), Cell(1, 64, side), Cell(100, 64, side)]
    wide = [Cell(1, clients, side) for clients in (16, 256)]
    return sorted([Cell(1, 1, rounds), Cell(1, 64, rounds), Cell(100, 64, rounds), *wide])


def names(flag: str, text: str, there: list[str]) -> list[str]:
    """The names in a list separated by commas; all that are there for an empty one."""
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    for name in chosen:
        if name not in there:
            raise ValueError(f"--{flag}: no {name!r}: {', '.join(there)}")
    return chosen or there


def numbers(flag: str, text: str, most: int) -> list[int]:
    """The numbers from 1 to `most` in a list separated by commas."""
    try:
        chosen = [int(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(f"--{flag}: {text!r} is no list of numbers") from None
    for number in chosen:
        if not 1 <= number <= most:
            raise ValueError(f"--{flag}: {number} is not from 1 to {most}")
    return chosen
