"""SVG of matplotlib's figures."""

import io

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Text stays text, and the same figures give the same file.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "figures", "font.size": 9}


def svg(figure: Figure) -> str:
    """Its text, without the trailing blanks that matplotlib leaves."""
    FigureCanvasSVG(figure)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
