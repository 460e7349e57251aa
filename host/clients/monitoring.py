"""What `make up` says of the monitoring overlay: where it is, and how to get in."""

from __future__ import annotations

from host.docker import project
from host.user.settings import Settings

PASSWORD = "docker compose run --rm secrets show grafana-password"  # noqa: S105 - a command
PLACES = (("Prometheus", "9090", ""), ("Grafana", "3000", f"  user admin; password: {PASSWORD}"))


def explain(settings: Settings) -> list[str]:
    """Nothing without the overlay, and of what does not run."""
    if not settings.watched:
        return []
    return [
        f"{name:<12}http://localhost:{port}{how}"
        for name, target, how in PLACES
        if (port := project.port_of(name.lower(), target))
    ]
