"""The entry of a model in /models: the one place that says what is in it."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from model_server.environments.messages import Package


class Field(msgspec.Struct):
    """One input or output of a signature."""

    name: str | int | None
    type: str
    required: bool
    nullable: Annotated[bool, Meta(description="null is a missing value, in frames.")]
    shape: list[int] | UnsetType = UNSET


class Entry(msgspec.Struct, kw_only=True):
    """What is said of one served name. The schema in /openapi.json is generated from it."""

    name: str
    state: str
    version: str | None
    because: str | None
    wanted_version: str | None
    problem: str | None
    progress: str | None
    warnings: list[str]
    invocations: str
    # There while a version is served.
    source: str | UnsetType = UNSET
    workers: Annotated[list[int], Meta(description="Process ids.")] | UnsetType = UNSET
    asleep: bool | UnsetType = UNSET
    environment: str | UnsetType | None = UNSET
    packages: list[Package] | UnsetType | None = UNSET
    flavor: str | UnsetType = UNSET
    engine: str | UnsetType = UNSET
    engine_reason: str | UnsetType | None = UNSET
    streaming: bool | UnsetType = UNSET
    batching: bool | UnsetType = UNSET
    batching_reason: str | UnsetType | None = UNSET
    threads: int | UnsetType = UNSET
    confined: bool | UnsetType = UNSET
    confined_reason: str | UnsetType | None = UNSET
    refused_hosts: list[str] | UnsetType = UNSET
    # At /models/{name} alone: how to ask it.
    inputs: list[Field] | UnsetType | None = UNSET
    outputs: list[Field] | UnsetType | None = UNSET
    params: list[dict[str, Any]] | UnsetType | None = UNSET
    input_example: msgspec.Raw | UnsetType | None = UNSET
    """A body for its invocations."""
    input_example_reason: str | UnsetType | None = UNSET
    curl: str | UnsetType | None = UNSET
    python: str | UnsetType | None = UNSET
