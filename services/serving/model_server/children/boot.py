"""The program that another interpreter runs as a child. Run by its path, in an environment where
`model_server` is not installed: it is made importable, and nothing beside it, since the folder
that it lies in may hold the server's own libraries. The arguments are the folders of the user's
PYTHONPATH, which go first as they do in any Python."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main() -> None:
    """Make `model_server` importable, and become the child."""
    sys.path[:0] = sys.argv[1:]
    name = "model_server"
    spec = spec_from_file_location(name, Path(__file__).parents[1] / "__init__.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    package = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(package)

    from model_server.children import child

    child.run_as_program()


if __name__ == "__main__":
    main()
