"""`make chaos`: the faults of chaos/, with ARGS handed on."""

from host.commands import bench
from host.user.options import Options


def main(options: Options) -> int:
    """Bring them about; the exit status."""
    return bench.run(options, package="chaos")
