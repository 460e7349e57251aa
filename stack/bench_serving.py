"""`make bench-serving`: the model server's comparison alone."""

from stack import bench


def main() -> int:
    return bench.run("serving")
