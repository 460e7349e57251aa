"""wrk, where it is installed, for servers that are too fast for a generator in Python."""

import re
import shutil
import subprocess
import tempfile

from benchmarks.load import Request

SCRIPT = """\
wrk.method = "POST"
wrk.path = "{path}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %f %f %f\\n", summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def whole(seconds: float) -> int:
    """The seconds that wrk takes for them: whole ones."""
    return max(1, round(seconds))


def installed() -> bool:
    return shutil.which("wrk") is not None


def run(
    port: int, clients: int, request: Request, seconds: float, core: int | None = None
) -> dict[str, float]:
    """Repeat one POST from all clients: rate (good answers per second), p50 and p99 (ms).

    core: the processor that wrk's one thread stays on.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(path=request.path, body=request.body.decode()))
        script.flush()
        command = ["wrk", "--threads", "1", "--connections", str(clients), "--timeout", "60s"]
        command += ["--duration", f"{whole(seconds)}s", "--script", script.name]
        command += [f"http://127.0.0.1:{port}"]
        if core is not None:
            command = ["taskset", "--cpu-list", str(core), *command]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = re.search(r"^RESULT (\d+) (\d+) (\S+) (\S+) (\S+)$", done.stdout, re.MULTILINE)
    if not result:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    requests, errors, duration, p50, p99 = map(float, result.groups())
    return {
        "rate": (requests - errors) / duration,
        "p50": p50,
        "p99": p99,
        "requests": requests,
        "errors": errors,
    }
