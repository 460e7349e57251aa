"""Which hosts a version's worker may reach, by the version's tag and by SERVING_NETWORK.

Workers import this, in environments of their own too: nothing but the standard library.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

TAG = "serving.network"
SETTING = "SERVING_NETWORK"
WEB = (443, 80)
"""Ports of a host that is named without one."""

_AUTHORITY = re.compile(r"(?:\[([\da-f:.]+)\]|([\w-]+(?:\.[\w-]+)*)\.?)(?::(\d{1,5}))?", re.ASCII)
_LONGEST = 253 + len(":65535")
_SWITCH = {"on": "on", "true": "on", "off": "off", "false": "off"}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6; what `is_global` calls so may also lie beside it."""
_CLOUD = ipaddress.ip_address("168.63.129.16")
"""Addresses of public form, and yet private: where Azure's machines find their own settings."""


@dataclass(frozen=True)
class Host:
    """A host that may be reached."""

    name: str
    """A name in lower case or an address; `*.example.org` is each name below it."""
    port: int | None = None
    """None: those of the web."""
    anywhere: bool = False
    """Whether it may be at a private address: only where the operator named it."""

    def matches(self, name: str, port: int) -> bool:
        """Whether the rule is about this host and port."""
        if port not in ((self.port,) if self.port else WEB):
            return False
        if self.name.startswith("*."):
            return name.endswith(self.name[1:])
        return name == self.name


@dataclass(frozen=True)
class Network:
    """What one version's worker may reach. By default, nothing."""

    hosts: tuple[Host, ...] = ()
    """Reached by the proxy."""
    ports: tuple[int, ...] = ()
    """Reached without it: TCP, at any address."""
    anything: bool = False

    @property
    def proxied(self) -> bool:
        """Whether it needs the proxy."""
        return bool(self.hosts) and not self.anything

    def with_tag(self, text: str) -> "Network":
        """Add the hosts that a version's tag names. Raises ValueError, with one line."""
        hosts = tuple(_host(entry, anywhere=False) for entry in _entries(text))
        return replace(self, hosts=self.hosts + hosts)

    def find(self, name: str, port: int) -> Host | None:
        """What allows this host; of several, one that may be anywhere."""
        matching = [host for host in self.hosts if host.matches(name, port)]
        return max(matching, key=lambda host: host.anywhere, default=None)


NOTHING = Network()


def of_setting(text: str) -> Network:
    """What every model may reach, as SERVING_NETWORK says. Raises ValueError, with one line."""
    switch = _switch(text)
    if switch:
        return Network(anything=switch == "on")
    hosts, ports = [], []
    for entry in _entries(text):
        if entry.startswith(":"):
            ports.append(_port(entry, entry[1:]))
        else:
            hosts.append(_host(entry, anywhere=True))
    return Network(tuple(hosts), tuple(ports))


def heeds_tags(setting: str) -> bool:
    """Whether the setting lets tags add hosts."""
    return _switch(setting) != "off"


def split(authority: str) -> tuple[str, int | None]:
    """Host and port of `host:port`, `host`, `[2001:db8::1]:port`. Raises ValueError."""
    if len(authority) > _LONGEST:
        raise ValueError(f"a host has no more than {_LONGEST} characters")
    match = _AUTHORITY.fullmatch(authority.lower())
    if not match:
        raise ValueError(f"{authority!r} is no host, and no host:port")
    address, name, port = match.groups()
    if address:
        name = str(ipaddress.IPv6Address(address))
    return name, _port(authority, port) if port else None


def join(host: str, port: int) -> str:
    """Host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_public(address: str) -> bool:
    """Whether an address, as the resolver writes it, is one of the public internet. An IPv4
    address within an IPv6 one is looked at itself."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    if ip.version == 6 and ip not in _UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and ip != _CLOUD


def _switch(setting: str) -> str | None:
    return _SWITCH.get(setting.strip().lower())


def _entries(text: str) -> Iterator[str]:
    return filter(None, (part.strip() for part in text.split(",")))


def _host(entry: str, *, anywhere: bool) -> Host:
    if _switch(entry):
        raise ValueError(f"{entry!r} is no host: it stands in {SETTING}, alone")
    below = entry.startswith("*.")
    name, port = split(entry.removeprefix("*."))
    if below and (":" in name or name.replace(".", "").isdigit()):
        raise ValueError(f"{entry!r}: nothing is below an address")
    return Host(f"*.{name}" if below else name, port, anywhere)


def _port(entry: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**16):
        raise ValueError(f"{entry!r}: a port is a number from 1 to 65535")
    return int(digits)
