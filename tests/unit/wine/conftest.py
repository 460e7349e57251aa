"""The project's modules import each other by their bare names, as when `mlflow run` runs them."""

import sys

from tests.support import ROOT

sys.path.insert(0, str(ROOT / "projects" / "wine"))
