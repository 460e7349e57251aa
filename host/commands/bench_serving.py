"""`make bench-serving`: the model server's comparison alone."""

from host.commands import bench
from host.user.options import Options


def main(options: Options) -> int:
    """Measure it; the exit status."""
    return bench.run(options, "serving")
