"""What supervisord starts: becomes the command, with the variables, that a JSON file names."""

import json
import os
import sys
from pathlib import Path

program = json.loads(Path(sys.argv[1]).read_text())
os.execve(  # noqa: S606 - there is no shell, and none is wanted
    program["command"][0], program["command"], {**os.environ, **program["environment"]}
)
