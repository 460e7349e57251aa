"""wrk: a load generator that is not the bottleneck, from one thread."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks.load import Request

MISSING = "wrk is not installed: apt-get install wrk"
FIXED = """\
wrk.method, wrk.path, wrk.headers, wrk.body = method, path, headers, body
"""
# `{{n}}` is a number of 16 digits that no other request has, `{{k}}` its first 13; other names
# stand for one of their values, in turn.
CHANGING = """\
local now = {}
local function fill(text) return (text:gsub("{{(%a+)}}", now)) end
request = function()
  number = number + 1
  now.n = string.format("%d", number)
  now.k = now.n:sub(1, 13)
  for name, those in pairs(values) do now[name] = those[number % #those + 1] end
  local filled = {}
  for name, text in pairs(headers) do filled[name] = fill(text) end
  return wrk.format(method, fill(path), filled, body and fill(body))
end
"""
DONE = """\
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %f %f %f %f %f\\n", summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency.mean / 1e3, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
"""


def whole(seconds: float) -> int:
    """The seconds that wrk takes for them: whole ones."""
    return max(1, round(seconds))


def installed() -> bool:
    return shutil.which("wrk") is not None


def run(
    url: str,
    clients: int,
    request: Request,
    seconds: float,
    core: int | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    first: int | None = None,
) -> dict[str, float]:
    """Repeat a request from all clients: rate (good answers per second), mean, p50, p95, p99 (ms).

    core: the processor that wrk's one thread stays on.
    values, first: what to put into the request where it changes, and the number to count from.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(request, values or {}, first))
        script.flush()
        command = ["wrk", "--threads", "1", "--connections", str(clients), "--timeout", "60s"]
        command += ["--duration", f"{whole(seconds)}s", "--script", script.name, url]
        if core is not None:
            command = ["taskset", "--cpu-list", str(core), *command]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = re.search(r"^RESULT (\d+) (\d+)((?: \S+){5})$", done.stdout, re.MULTILINE)
    if not result:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    requests, errors = int(result[1]), int(result[2])
    duration, *times = map(float, result[3].split())
    names = ("mean", "p50", "p95", "p99")
    return {
        "rate": (requests - errors) / duration,
        "requests": requests,
        "errors": errors,
        **dict(zip(names, times, strict=True)),
    }


def _script(request: Request, values: Mapping[str, Sequence[str]], first: int | None) -> str:
    known = {
        "method": _quoted(request.method),
        "path": _quoted(request.path),
        "body": _quoted(request.body) if request.body else "nil",
        "headers": _table({f"[{_quoted(name)}]": text for name, text in request.headers.items()}),
    }
    lines = [f"local {name} = {text}\n" for name, text in known.items()]
    if first is None:
        return "".join([*lines, FIXED, DONE])
    lists = (f"{name} = {{{','.join(map(_quoted, those))}}}" for name, those in values.items())
    lines += [f"local values, number = {{{', '.join(lists)}}}, {first}\n"]
    return "".join([*lines, CHANGING, DONE])


def _table(entries: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{name} = {_quoted(text)}' for name, text in entries.items())}}}"


def _quoted(text: str | bytes) -> str:
    """A string of Lua's, of whatever bytes."""
    plain = text.encode() if isinstance(text, str) else text
    return '"' + "".join(f"\\{byte:03}" for byte in plain) + '"'
