"""`model-server tokens`: makes, lists, rotates and removes API tokens; a running server follows."""

import argparse
import re
import sys
import time
from urllib.parse import quote, unquote

from model_server import settings
from model_server.front.token_store import Store, Token, TokenError

_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ESCAPES = str.maketrans({mark: quote(mark, safe="") for mark in "%,*"})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(arguments: list[str]) -> int:
    """The exit status: 0, or 1 after one line on what is wrong."""
    asked = _parser().parse_args(arguments)
    try:
        store = Store(settings.load([]).kept_tokens)
        asked.do(store, asked)
    except (settings.SettingsError, TokenError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or 'the token store'}: {error.strerror}")
    return 0


def _add(store: Store, asked: argparse.Namespace) -> None:
    models = frozenset(asked.models)
    if not (models or asked.metrics):
        raise TokenError("a token that opens nothing: say --models or --metrics")
    if asked.manage and not models:
        raise TokenError("a token that manages nothing: --manage is for the models of --models")
    text = store.add(
        asked.name,
        models=None if "*" in models else frozenset(map(unquote, models)),
        manage=asked.manage,
        metrics=asked.metrics,
        rate=asked.rate,
        expires=None if asked.expires is None else time.time() + asked.expires,
    )
    _tell(text)


def _rotate(store: Store, asked: argparse.Namespace) -> None:
    _tell(store.rotate(asked.name, asked.grace))


def _remove(store: Store, asked: argparse.Namespace) -> None:
    store.remove(asked.name)
    print(f"removed {asked.name}")


def _list(store: Store, _: argparse.Namespace) -> None:
    lines = [("NAME", "OPENS", "RATE", "MADE", "ENDS")]
    lines += [_line(token) for token in sorted(store.read(), key=lambda one: one.name)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _line(token: Token) -> tuple[str, str, str, str, str]:
    names = sorted(name.translate(_ESCAPES) for name in token.models or ())
    models = ["all models"] if token.models is None else names
    scopes = [name for name in ("manage", "metrics") if getattr(token, name)]
    rate = f"{token.rate:g}/s" if token.rate else "-"
    ends = _date(token.expires) if token.expires else "never"
    return token.name, ",".join(models + scopes), rate, _date(token.created), ends


def _tell(text: str) -> None:
    """The token alone on standard output, for a script to take."""
    print("This is shown once; send it as 'Authorization: Bearer TOKEN'.", file=sys.stderr)
    print(text)


def _date(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(when)) + "Z"


def _fail(line: str) -> int:
    print(f"model-server: {line}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model-server tokens",
        description="API tokens. They are shown once and kept as digests; changes need no restart.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="make a token, and print it")
    add.add_argument("name", type=_name, help="whose it is: letters, digits and ._-")
    add.add_argument(
        "--models",
        type=_models,
        default=[],
        metavar="NAME,...",
        help="served models that it opens, with %%2C for a comma in a name; '*' for all, later "
        "ones too",
    )
    add.add_argument(
        "--manage",
        action="store_true",
        help="deploy these registered models under these names, load and unload them",
    )
    add.add_argument("--metrics", action="store_true", help="read /metrics, which names all models")
    add.add_argument("--rate", type=_rate, metavar="N", help="requests a second; more: 429")
    add.add_argument("--expires", type=_duration, metavar="TIME", help="30d, 12h, 15m or 90s")
    add.set_defaults(do=_add)
    commands.add_parser("list", help="show all, without the tokens").set_defaults(do=_list)
    rotate = commands.add_parser("rotate", help="replace a token by a new one, and print that")
    rotate.add_argument("name", type=_name)
    rotate.add_argument(
        "--grace",
        type=_duration,
        default=0.0,
        metavar="TIME",
        help="how long the old one stays valid; default: not at all",
    )
    rotate.set_defaults(do=_rotate)
    remove = commands.add_parser("remove", help="end a token")
    remove.add_argument("name", type=_name)
    remove.set_defaults(do=_remove)
    return parser


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("a name has 1 to 64 letters, digits and ._-")
    return text


def _models(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 1e6:
        raise argparse.ArgumentTypeError("a rate is a number of requests a second")
    return rate


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError("a time is a number with s, m, h or d, such as 30d")
    return float(int(match[1]) * _SECONDS[match[2]])
