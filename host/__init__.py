"""Host tools of mlflow-stack: what the Makefile calls, on nothing but Python's standard library.

This file is read by any Python that a user may have, so it keeps to syntax that all of them know.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the very place that refuses older ones
    sys.exit(
        "mlflow-stack: expected Python 3.11 or newer, found %d.%d (%s): "  # noqa: UP031
        "install a newer one, or name one: make PYTHON=/path/to/python3 ..."
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
if not sys.platform.startswith(("linux", "darwin")):
    sys.exit(
        "mlflow-stack: expected Linux, macOS or WSL, found %s: on Windows, install WSL "  # noqa: UP031
        "(wsl --install), and clone and run it there" % sys.platform
    )
