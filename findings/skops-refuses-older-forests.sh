#!/usr/bin/env bash
# skops 0.16.0 refuses a forest that skops 0.14.0 saved and called safe.
#
# skops 0.14.0 and 0.16.0, both with scikit-learn 1.9.1.
#
# Expected: what scikit-learn's own class was saved as loads with a later release without more ado, as
#           a logistic regression does.
# Seen:     sklearn.tree._tree.Tree is no longer among the trusted types: trees, forests and gradient
#           boosting need it named, also those saved before.
#
#   0.14.0: LogisticRegression loads, RandomForestClassifier loads
#   0.16.0: LogisticRegression loads, RandomForestClassifier needs sklearn.tree._tree.Tree

set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export PYTHONWARNINGS=ignore

cat >save.py <<'PYTHON'
from skops.io import dump
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

for model in (LogisticRegression(max_iter=500), RandomForestClassifier(3)):
    dump(model.fit(*load_iris(return_X_y=True)), type(model).__name__)
PYTHON
cat >load.py <<'PYTHON'
import skops
from skops.io import get_untrusted_types

found = []
for name in ("LogisticRegression", "RandomForestClassifier"):
    types = get_untrusted_types(file=name)
    found.append(f"{name} {'needs ' + ', '.join(types) if types else 'loads'}")
print(f"{skops.__version__}: {', '.join(found)}")
PYTHON

for version in 0.14.0 0.16.0; do
  "${PYTHON:-python3}" -m venv "$version"
  "$version/bin/pip" install --quiet "skops==$version" scikit-learn==1.9.1 numpy==2.4.6
done
0.14.0/bin/python save.py
{ 0.14.0/bin/python load.py && 0.16.0/bin/python load.py; } | tee seen
cat >expected <<'TEXT'
0.14.0: LogisticRegression loads, RandomForestClassifier loads
0.16.0: LogisticRegression loads, RandomForestClassifier needs sklearn.tree._tree.Tree
TEXT
cmp -s seen expected
