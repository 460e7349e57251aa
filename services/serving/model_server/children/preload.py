"""Imported once by the parent that all children are forked from, never by the HTTP process.

Importing takes seconds, forking milliseconds, and forked memory is shared. Nothing here may start
a thread: a fork keeps only the thread that forked, and a lock held by another stays held forever.
(Arrow's jemalloc has one all the same, and guards its locks over a fork; so does ONNX Runtime.
XGBoost and LightGBM start theirs when they first predict.)
"""

import contextlib
import gc
import importlib
import logging
import os
import signal
import time

from model_server import log as logs
from model_server.processes.prctl import die_with_parent

MODULES = (
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn",
    "mlflow.onnx",
    "mlflow.artifacts",
    "numpy",
    "pandas",
    "narwhals._pandas_like.dataframe",
    "onnx.numpy_helper",
    "onnxruntime",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "scipy.sparse",
    "lightgbm",
    "skops.io",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "xgboost",
    "model_server.scoring.fast.plan",
    "model_server.children.fetch",
    "model_server.children.worker",
)

started = time.monotonic()
gc.disable()  # what is imported is no garbage, and looking for it takes a quarter of the time
die_with_parent(signal.SIGTERM)  # which the parent heeds no more once there may be children
os.setpgrp()  # Ctrl-C and a manager's signal to the group are for the HTTP process alone

for module in MODULES:
    with contextlib.suppress(ImportError):  # a model that needs it will say so better
        importlib.import_module(module)

with contextlib.suppress(ImportError):
    import mlflow.tracing
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    mlflow.tracing.disable()  # workers know no tracking server to send traces to
    # The first call reads the metadata of every installed package, for half a second.
    warn_dependency_requirement_mismatches(["mlflow"])

    from model_server.children.rehearsal import rehearse

    rehearse()

with contextlib.suppress(ImportError):
    from model_server.scoring.fast.ensemble import Ensemble, constant

    Ensemble([constant(0, 0.0)], features=1, sums=1)  # the first one makes ONNX Runtime's tables

logs.configure(os.environ.get("MODEL_SERVER_LOG_LEVEL", "INFO"))
logging.getLogger(__name__).info(
    "libraries imported", extra={"seconds": round(time.monotonic() - started, 3)}
)

gc.collect()
gc.freeze()  # a collection in a worker would otherwise write to, and so copy, every shared page
gc.enable()
