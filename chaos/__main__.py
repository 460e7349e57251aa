"""python -m chaos: faults against a stack of its own, under load."""

import os
import sys


def main() -> int:
    """What this shell says of other stacks and servers must not reach this one, and MLflow reads
    some of it when it is imported."""
    for name in [name for name in os.environ if name.startswith(("COMPOSE_", "MLFLOW_"))]:
        del os.environ[name]
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true"
    )
    from chaos import suite

    return suite.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
