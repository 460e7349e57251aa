"""Put an examination on the run's page: metrics, findings as a table, report, data set."""

import json
from pathlib import PurePath
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag

import html_report
from checking import Examination
from csv_source import scheme, shown
from findings import CHECKS

DIGEST_LENGTH = 36  # that MLflow takes; the tag `sha256` has all of it


def record(run: mlflow.ActiveRun, name: str, examination: Examination, max_errors: int) -> None:
    """Log all about a file, whose path or URI is `name`."""
    findings = examination.findings
    kept = findings.sorted()
    mlflow.log_metrics(metrics(examination))
    mlflow.log_text(html_report.page(shown(name), examination, max_errors), "report.html")
    table = {
        "check": [one.check for one in kept],
        "row": [one.row for one in kept],
        "column": [one.column for one in kept],
        "detail": [one.detail for one in kept],
    }
    mlflow.log_table(table, "findings.json")
    MlflowClient().log_inputs(
        run.info.run_id,
        [DatasetInput(dataset(name, examination), [InputTag("mlflow.data.context", "validation")])],
    )
    mlflow.set_tag("sha256", examination.digest)


def record_schema(text: str) -> None:
    """Log a learned schema, as YAML."""
    mlflow.log_text(text, "schema.yaml")


def metrics(examination: Examination) -> dict[str, int]:
    """Sizes, the number of all findings, and that of each check."""
    counts = examination.findings.counts
    return {
        "rows": examination.rows,
        "columns": len(examination.columns),
        "bytes": examination.size,
        "findings": examination.findings.total(),
        **{check.metric: counts[check.name] for check in CHECKS.values()},
    }


def dataset(name: str, examination: Examination) -> Dataset:
    """Source of the file and digest of its bytes; the file itself stays where it is."""
    kind = scheme(name)
    word = {"http": "url", "https": "url"}.get(kind, "uri")
    return Dataset(
        name=PurePath(urlsplit(shown(name)).path if kind else name).stem[:500] or "data",
        digest=examination.digest[:DIGEST_LENGTH],
        source_type={"": "local", "https": "http"}.get(kind, kind),
        source=json.dumps({word: shown(name)}),
        profile=json.dumps({"num_rows": examination.rows, "num_columns": len(examination.columns)}),
    )
