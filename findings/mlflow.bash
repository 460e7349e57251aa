# shellcheck shell=bash
# What the scripts on MLflow share; each begins with a line that reads this file.
#
#   install PACKAGE==VERSION ...   these, beside the pandas, NumPy and scikit-learn that all are run
#                                  with, into a temporary folder that goes at the end
#   run                            the Python program on standard input, there; the folder that this
#                                  file is in is on its path. What it says of errors shows if it fails

set -euo pipefail
findings=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

install() {
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet \
    pandas==3.1.1 numpy==2.4.6 scikit-learn==1.9.1 "$@"
}

run() {
  cd "$folder"
  PYTHONPATH=$findings PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore \
    MLFLOW_DISABLE_TELEMETRY=true "$folder/venv/bin/python" - 2>errors || {
    cat errors >&2
    exit 1
  }
}
