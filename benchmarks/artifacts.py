"""Artifacts through our tracking server and through `mlflow server`, on the same S3 server.

The client sends from memory and drops what it reads, so that it costs what the kernel costs.
"""

import http.client
import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.options import Options
from benchmarks.processes import memory, settle
from benchmarks.storage import OURS, Server, Storage, running
from harness.report import Section, say

MIB = 2**20
FOLDER = "/api/2.0/mlflow-artifacts/artifacts/0/benchmark"
PIECE = memoryview(bytes(range(256)) * (MIB // 256))
PUTTERS = 8

Rate = Callable[[Server, float], float]


class Client:
    """One kept connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        self._buffer = memoryview(bytearray(MIB))

    def put(self, name: str, size: int) -> None:
        connection = self._connection
        connection.putrequest("PUT", f"{FOLDER}/{name}")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        for sent in range(0, size, MIB):
            connection.send(PIECE[: min(MIB, size - sent)])
        self._read("PUT", name)

    def get(self, name: str, size: int) -> None:
        self._connection.request("GET", f"{FOLDER}/{name}")
        if (read := self._read("GET", name)) != size:
            raise RuntimeError(f"GET {name}: {read} bytes, and not {size}")

    def list(self, folder: str) -> list[dict[str, object]]:
        route, _, path = FOLDER.partition("/0/")
        self._connection.request("GET", f"{route}?path=0/{path}/{folder}")
        return json.load(self._connection.getresponse())["files"]

    def _read(self, method: str, what: str) -> int:
        answer, read = self._connection.getresponse(), 0
        while count := answer.readinto(self._buffer):
            read += count
        if answer.status != 200:
            raise RuntimeError(f"{method} {what}: {answer.status}")
        return read


def large(method: str, size: int) -> Rate:
    """MiB a second of one large artifact."""

    def rate(server: Server, _: float) -> float:
        start = time.perf_counter()
        getattr(Client(server), method)("large", size)
        return size / MIB / (time.perf_counter() - start)

    return rate


def small(method: str, size: int, clients: int) -> Rate:
    """Artifacts a second, by clients that each repeat their own."""

    def repeat(server: Server, end: float, number: int) -> int:
        client, count = Client(server), 0
        while time.perf_counter() < end:
            getattr(client, method)(f"small-{size}-{number}", size)
            count += 1
        return count

    def rate(server: Server, seconds: float) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(clients) as threads:
            counts = list(threads.map(partial(repeat, server, start + seconds), range(clients)))
        return sum(counts) / (time.perf_counter() - start)

    return rate


def listing(many: int) -> Rate:
    """Listings a second of a folder of so many objects."""

    def rate(server: Server, _: float) -> float:
        start = time.perf_counter()
        if (listed := len(Client(server).list("many"))) != many:
            raise RuntimeError(f"listed: {listed}, and not {many}")
        return 1 / (time.perf_counter() - start)

    return rate


@dataclass(frozen=True)
class Load:
    """What is done, and how much of it a second."""

    name: str
    unit: str
    rate: Rate


def loads(options: Options) -> list[Load]:
    size = options.megabytes * 10**6
    named = {"up": "put", "down": "get"}
    each = [
        Load(f"{text}, {clients} clients, {way}", "a second", small(method, bytes_, clients))
        for text, bytes_ in (("1 KiB", 1024), ("1 MiB", MIB))
        for clients in (1, 8)
        for way, method in named.items()
    ]
    whole = [
        Load(f"{size / 1e9:.2f} GB, {way}", "MiB a second", large(method, size))
        for way, method in named.items()
    ]
    return [*whole, *each, Load(f"list {options.runs} objects", "a second", listing(options.runs))]


def measure(options: Options) -> list[Section]:
    """All loads, in rounds that alternate between the servers; then their memory."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        storage = stack.enter_context(running(Path(folder)))
        servers = prepare(options, storage)
        for server in servers:
            server.start()
            stack.callback(server.stop)
        rates: dict[str, dict[str, list[float]]] = {}
        for load in loads(options):
            for server in servers:
                load.rate(server, 0.5)  # unmeasured: to warm up
            settle(*(server.process.pid for server in servers))
            figures = rates[load.name] = {server.name: [] for server in servers}
            for _ in range(options.rounds):
                for server in servers:
                    figures[server.name].append(load.rate(server, options.seconds))
            say(f"artifacts: {load.name}: {shown(figures)}")
        mib = {server.name: memory(server.process.pid) / MIB for server in servers}
    return [section(options, rates, mib)]


def prepare(options: Options, storage: Storage) -> list[Server]:
    """The reference, the earlier checkout's server if one is named, and ours; each one's bucket has
    a folder of as many objects as there are runs in other parts."""
    servers = [storage.reference(), storage.ours()]
    if options.before:
        servers.insert(1, storage.before(options.before))
    client = storage.s3.client()

    def put(bucket: str, number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"0/benchmark/many/{number:05}", Body=b"one of many")

    with ThreadPoolExecutor(PUTTERS) as threads:
        for bucket in client.list_buckets()["Buckets"]:
            list(threads.map(partial(put, bucket["Name"]), range(options.runs)))
    return servers


def shown(figures: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {median(values):.3g}" for name, values in figures.items())


def section(
    options: Options, rates: dict[str, dict[str, list[float]]], mib: dict[str, float]
) -> Section:
    names = list(mib)
    others = [name for name in names if name != OURS]
    units = {load.name: load.unit for load in loads(options)}
    rows = []
    for load, figures in rates.items():
        medians = {name: median(figures[name]) for name in names}
        ratios = [f"{medians[OURS] / medians[name]:.2f}" for name in others]
        rows.append([load, units[load], *(f"{medians[name]:.3g}" for name in names), *ratios])
    rows.append(["memory of all processes (PSS) after that", "MiB"])
    rows[-1] += [f"{mib[name]:.0f}" for name in names]
    rows[-1] += [f"{mib[OURS] / mib[name]:.2f}" for name in others]
    return Section(
        title="Artifacts, up to and down from the bucket",
        columns=["load", "", *names, *(f"{OURS} / {name}" for name in others)],
        rows=rows,
        summary=f"medians of {options.rounds} alternating rounds",
        data={"rates": rates, "mib": mib},
    )
