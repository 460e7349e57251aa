"""What a version's workers may reach of the network, in the words of their confinement."""

from dataclasses import dataclass, field

from model_server.confinement import seccomp
from model_server.network.proxy import Proxy, no_variables, variables
from model_server.network.rules import Network


@dataclass(frozen=True)
class WayOut:
    """What the confinement of a worker lets out; nothing unless said."""

    network: seccomp.Reach = "none"
    ports: tuple[int, ...] = ()
    """TCP, of any address."""
    proxy: int | None = None
    """The port on this machine of the version's proxy, where workers reach nothing else."""
    variables: dict[str, str] = field(default_factory=no_variables)
    """Variables by which a worker's clients find the proxy."""


def way_out(network: Network, proxy: Proxy | None, port: int) -> WayOut:
    """proxy: the version's, which listens at `port`; None where it needs none."""
    if network.anything:
        return WayOut("any", variables={})
    if proxy is None:
        return WayOut("ports", network.ports) if network.ports else WayOut()
    proxied = variables(port, proxy.secret)
    if network.ports or seccomp.library() is None:
        return WayOut("ports", (*network.ports, port), variables=proxied)
    return WayOut("proxy", proxy=port, variables=proxied)
