"""Register T5 as a model that summarises and translates, served by the model server.

    mlflow run projects/huggingface -e summarizer

The files come from the Hugging Face Hub or from a folder. What the user gave wrong is said in one
line; the run is then FAILED and nothing is registered.
"""

import os
import sys

import click

from common.command_line import releasing, run

COMMIT = "df1b051c49625cf57a3d0d8d3863ed4d13564fe4"
PRECISION = click.Choice(["full", "quantized"])


@click.command(context_settings={"show_default": True})
@click.option("--source", default="google-t5/t5-small", help="Repository on the hub, or folder.")
@click.option("--revision", default=COMMIT, help="Commit, tag or branch; of a repository only.")
@click.option("--precision", type=PRECISION, default="full", help="Which of its ONNX files.")
@click.option("--checksums", default="none", help="File of the SHA-256 to be expected.")
@releasing("summarizer", "if it answers sensibly")
def main(**options: str) -> None:
    """Register the T5 in SOURCE as MODEL_NAME, and move ALIAS to it if it answers sensibly."""
    if not sys.stderr.isatty():  # a log has no use for bars
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from summarizing import Settings, register  # seconds of imports, not needed to refuse an option

    click.echo(register(Settings(**options)))


if __name__ == "__main__":
    sys.exit(run(main))
