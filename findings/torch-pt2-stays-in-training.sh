#!/usr/bin/env bash
# A PyTorch model saved in MLflow's default format answers a row by the rows beside it.
#
# MLflow 3.17.2 with torch 2.13.0 (the build for CPUs will do): a module with batch normalisation,
# saved without a call of eval(), once as pickle, the default before, and once as pt2, the default
# now.
#
# Expected: as with pickle, where MLflow calls eval() before it predicts: one request, one answer, and
#           a row's answer does not depend on the rows beside it.
# Seen:     pt2 keeps training mode for good: a row is normalised by the rows of its own request.
#
#   pickle: alike beside other rows: True
#   pt2: alike beside other rows: False

. "$(dirname "$0")/mlflow.bash"
install mlflow==3.17.2 torch==2.13.0
run <<'PYTHON'
import sys

import mlflow
import numpy as np
import torch

torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
rows = np.random.default_rng(0).random((4, 3), dtype="float32")
alike = {}
for form in ("pickle", "pt2"):
    more = {} if form == "pickle" else {"input_example": rows}
    mlflow.pytorch.save_model(net, form, serialization_format=form, **more)
    model = mlflow.pyfunc.load_model(form)
    others = rows.copy()
    others[1:] *= 100
    alike[form] = bool(np.allclose(model.predict(rows)[0], model.predict(others)[0]))
    print(f"{form}: alike beside other rows: {alike[form]}")
sys.exit(alike != {"pickle": True, "pt2": False})
PYTHON
