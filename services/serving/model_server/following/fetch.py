"""Brings a version's files here, by MLflow's own client, in a process of its own that alone is
given the tracking credentials and that can be stopped."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import msgspec

from model_server.errors import FetchError
from model_server.processes import process, wire

_problem = msgspec.msgpack.Decoder(str | None)


@dataclass(frozen=True)
class Fetcher:
    """Starts the processes that fetch."""

    tracking_uri: str | None
    credentials: dict[str, str]
    timeout: float
    """Seconds for one version."""

    async def fetch(self, uri: str, folder: Path) -> None:
        """Make `folder`, with MLmodel in it, from any URI that MLflow reads. Raises FetchError."""
        child = await process.spawn(
            "model_server.children.fetch",
            uri,
            str(folder),
            self.tracking_uri,
            self.credentials,
            name=f"fetch {uri}",
        )
        try:
            async with asyncio.timeout(self.timeout):
                problem = await child.channel.receive(_problem)
        except TimeoutError:
            problem = f"not here after {self.timeout:g} s (SERVING_FETCH_TIMEOUT)"
        except wire.PeerClosedError:
            problem = "the process that fetched it died"
        finally:
            await asyncio.shield(child.end())
        if problem is not None:
            raise FetchError(f"{uri} cannot be fetched: {problem}")
