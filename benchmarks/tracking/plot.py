"""A picture of how calls take longer."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.picture import STYLE, svg

COLUMNS = 3


def draw(runs: Sequence[int], seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """An SVG: seconds by runs, a panel a call and a line a server."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 8), layout="constrained")
        panels = figure.subplots(-(-len(seconds) // COLUMNS), COLUMNS, sharex=True, squeeze=False)
        for axes, (call, by_server) in zip(panels.flat, seconds.items(), strict=False):
            for name, times in by_server.items():
                axes.plot(runs, [one * 1000 for one in times], marker=".", label=name)
            axes.set(xscale="log", yscale="log")
            axes.set_title(f"{call}: ms")
            axes.grid(visible=True, color="#dddddd")
            axes.spines[["top", "right"]].set_visible(False)
        handles = panels.flat[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
        return svg(figure)
