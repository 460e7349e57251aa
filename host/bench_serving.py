"""`make bench-serving`: the model server's comparison alone."""

from host import bench


def main() -> int:
    return bench.run("serving")
