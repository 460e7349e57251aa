"""A model from code that shares its work among processes, in the ways that people do."""

import multiprocessing
import os
import subprocess
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import crowd_work
import joblib
import mlflow
import pandas as pd


class Crowd(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002
        return [getattr(self, way)() for way in model_input["act"]]

    def pool(self):
        with multiprocessing.Pool(2) as pool:
            return sorted(pool.map(crowd_work.double, [1, 2, 3]))

    def executor(self):
        with ProcessPoolExecutor(2) as pool:
            return sorted(pool.map(crowd_work.double, [1, 2, 3]))

    def joblib(self):
        work = (joblib.delayed(crowd_work.double)(number) for number in [1, 2, 3])
        return sorted(joblib.Parallel(2, backend="loky")(work))

    def forked(self):
        pool = multiprocessing.get_context("fork").Pool(1)
        self.kept = [*getattr(self, "kept", ()), pool]
        return pool.apply(os.getpid)

    def stay(self):
        """Starts what does not end by itself."""
        child = multiprocessing.Process(target=time.sleep, args=(600,))
        child.start()
        return [child.pid, subprocess.Popen(["sleep", "600"]).pid]

    def choose(self):
        multiprocessing.set_start_method("fork")
        return self.pool()

    def crash(self):
        os._exit(3)

    def facts(self):
        with multiprocessing.Pool(1) as pool:
            there = pool.apply(crowd_work.facts)
        return {"here": crowd_work.facts(), "there": there, "threads": threading.active_count()}

    def environment(self):
        return dict(os.environ)


mlflow.models.set_model(Crowd())
