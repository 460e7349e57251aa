"""What the processes do; lies in the model's code_paths."""

import sys


def double(number: int) -> int:
    return 2 * number


def facts() -> dict:
    return {
        "executable": sys.executable,
        "writes_bytecode": not sys.dont_write_bytecode,
        "stdin": sys.stdin.read(),
    }
