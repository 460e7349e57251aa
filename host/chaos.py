"""`make chaos`: the faults of chaos/, with ARGS handed on."""

from host import bench


def main() -> int:
    return bench.run(package="chaos")
