"""The model server against `mlflow models serve` and other servers, on the same models."""

import sys
import tempfile
from pathlib import Path

from benchmarks.options import Options
from benchmarks.serving import cases, environments, plot, tables
from benchmarks.serving.environments import MissingError
from benchmarks.serving.measuring import Figures
from benchmarks.serving.measuring import measure as measure_case
from benchmarks.serving.plan import GOALS, plan
from benchmarks.serving.servers import Server, known
from harness.report import Section, say


def measure(options: Options) -> list[Section]:
    """Every model of the plan in turn, all servers at a time."""
    asked = plan(options)
    figures: Figures = {}
    servers, missing = prepared([one for one in known(options) if one.name in asked.servers])
    # The text model's code, as saved in its folder, is imported by the name that it has there.
    sys.path.insert(0, str(cases.MODELS))
    with tempfile.TemporaryDirectory() as folder:
        for name, cells in asked.cells.items():
            say(f"serving: {name}: training, then starting the servers")
            case = cases.save(name, Path(folder) / name)
            here = [one for one in servers if one.everywhere or name in GOALS]
            figures[name], absent = measure_case(options, case, here, cells)
            missing |= {f"{server} ({name})": why for server, why in absent.items()}
    sections = tables.sections(options, figures, missing)
    pictures = {"serving": plot.draw(figures), "growth": plot.draw_growth(figures)}
    sections[0].pictures.update({name: picture for name, picture in pictures.items() if picture})
    return sections


def prepared(servers: list[Server]) -> tuple[list[Server], dict[str, str]]:
    """Those that can be started here, and why others cannot."""
    ready, missing = [], {}
    for server in servers:
        try:
            if server.environment:
                environments.ensure(server.environment)
            ready.append(server)
        except MissingError as error:
            missing[server.name] = str(error)
            say(f"serving: {error}")
    return ready, missing
