"""Pictures of the figures that matter most."""

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.picture import STYLE, svg
from benchmarks.serving.cases import TITLES
from benchmarks.serving.measuring import Figures
from benchmarks.serving.plan import GOALS
from benchmarks.serving.servers import SERVERS

PANELS = (("rate", 64, "requests/s at 64 clients"), ("p50", 1, "p50 in ms at 1 client"))
COLORS = ("#1f77b4", "#ff7f0e")


def draw(figures: Figures) -> str:
    """An SVG: a bar for each server and model with goals, one row a request; or "" for none."""
    models = [model for model in GOALS if model in figures]
    cells = {
        (model, cell.clients): servers
        for model in models
        for cell, servers in figures[model].items()
        if cell.rows == 1
    }
    panels = [panel for panel in PANELS if any((m, panel[1]) in cells for m in models)]
    if not panels:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4), layout="constrained")
        for axes, (what, clients, title) in zip(
            figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True
        ):
            _panel(axes, [(m, cells.get((m, clients), {})) for m in models], what)
            axes.set_title(title)
        figure.axes[0].invert_yaxis()  # the first server on top; the other panel shares the axis
        handles = figure.axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
        return svg(figure)


def draw_growth(figures: Figures) -> str:
    """An SVG: requests/s by the number of clients, a line a server, one row a request; or ""."""
    models = [
        model
        for model in GOALS
        if len({cell.clients for cell in figures.get(model, {}) if cell.rows == 1}) > 1
    ]
    if not models:
        return ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 4), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            _lines(axes, figures[model])
            axes.set_title(f"{TITLES[model]}: requests/s by clients")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        return svg(figure)


def _lines(axes, cells) -> None:
    clients = sorted({cell.clients for cell in cells if cell.rows == 1})
    for number, server in enumerate(SERVERS):
        by_clients = {
            cell.clients: servers[server.name].rate
            for cell, servers in cells.items()
            if cell.rows == 1 and server.name in servers
        }
        if by_clients:
            bare = server.name.startswith("bare")
            x = sorted(by_clients)
            y = [by_clients[count] for count in x]
            style = {"linestyle": ":" if bare else "-", "linewidth": 2.5 if number == 0 else 1.2}
            axes.plot(x, y, marker=".", label=server.name, color=f"C{number}", **style)
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(clients, [str(count) for count in clients])
    axes.minorticks_off()
    axes.grid(visible=True, color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)


def _panel(axes, models, what: str) -> None:
    names = [server.name for server in SERVERS if any(server.name in f for _, f in models)]
    height = 0.8 / len(models)
    for number, (model, servers) in enumerate(models):
        places = [place for place, name in enumerate(names) if name in servers]
        values = [getattr(servers[names[place]], what) for place in places]
        offsets = [place + (number + 0.5) * height - 0.4 for place in places]
        bars = axes.barh(offsets, values, height, label=TITLES[model], color=COLORS[number])
        axes.bar_label(bars, [shown(value) for value in values], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.2)
    axes.set_yticks(range(len(names)), names)
    axes.spines[["top", "right"]].set_visible(False)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
