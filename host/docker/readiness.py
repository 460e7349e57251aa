"""Whether this machine can run the stack in containers, as the tests and faults need it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from host.docker import client, engine, project
from host.user.terminal import CommandError


def why_no_stack() -> str:
    """Why the compose tier cannot run here, with the way out, or "" if it can."""
    docker = engine.find()
    if docker.problem:
        return f"expected {engine.expected()}, found {docker.version}: {docker.problem}"
    for program in ("git", "curl"):
        if not shutil.which(program):
            return f"expected the command {program}, found none: install {program}"
    return why_no_image(project.base_images())


def why_no_image(images: Iterable[str]) -> str:
    """Which of `images` is neither here nor to be had, or ""."""
    for image in images:
        if not _have(image):
            return f"the image {image} is not here and cannot be pulled: docker pull {image}"
    return ""


def _have(image: str) -> bool:
    if client.said("image", "inspect", image):
        return True
    try:
        client.do(["pull", "--quiet", image], f"pulling {image}", aloud=True)
    except CommandError:
        return False
    return True
