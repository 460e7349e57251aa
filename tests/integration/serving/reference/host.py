"""`mlflow models serve` for many models: what it runs, forked from a process with the imports done.

`mlflow models serve --env-manager local` sets the variables and runs the command that
`scoring_server.get_cmd` gives: `uvicorn --host .. --port .. mlflow.pyfunc.scoring_server.app:app`.
So does each child here, in a process of its own; saved are 4 s of imports and 200 MiB a model.

Arguments: the folder for logs, PORT.log each, and FOLDER=PORT of each model. Says which have ended.
"""

import contextlib
import os
import shlex
import signal
import sys

import mlflow.pyfunc.scoring_server as scoring_server
import mlflow.sklearn  # noqa: F401
import sklearn.ensemble
import sklearn.pipeline  # noqa: F401
import uvicorn.main
from mlflow.utils.requirements_utils import _init_modules_to_packages_map

with contextlib.suppress(ImportError):
    import skops.io  # noqa: F401

_init_modules_to_packages_map()  # half a second, to warn of other versions
logs, *arguments = sys.argv[1:]
ports = {}
for argument in arguments:
    folder, _, port = argument.rpartition("=")
    if not (child := os.fork()):
        log = os.open(f"{logs}/{port}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        command, environment = scoring_server.get_cmd(folder, int(port), "127.0.0.1")
        os.environ.update(environment)
        uvicorn.main.main(shlex.split(command)[1:])  # its command line; exits
    ports[child] = port
while ports:
    print(f"ended: {ports.pop(os.wait()[0])}", flush=True)
signal.pause()
