"""`mlflow models serve` for many models: what it runs, forked from a process with the imports done.

`mlflow models serve --env-manager local` sets the variables and runs the command that
`scoring_server.get_cmd` gives: `uvicorn --host .. --port .. mlflow.pyfunc.scoring_server.app:app`.
So does each child here, in a process of its own; saved are 4 s of imports and 200 MiB a model.

Arguments: FOLDER=PORT of each model.
"""

import os
import shlex
import sys

import mlflow.pyfunc.scoring_server as scoring_server
import mlflow.sklearn  # noqa: F401
import sklearn.ensemble
import sklearn.pipeline  # noqa: F401
import uvicorn.main

for argument in sys.argv[1:]:
    folder, _, port = argument.rpartition("=")
    if os.fork() == 0:
        command, environment = scoring_server.get_cmd(folder, int(port), "127.0.0.1")
        os.environ.update(environment)
        uvicorn.main.main(shlex.split(command)[1:])  # its command line; exits
os.wait()
sys.exit("one of the servers ended")
