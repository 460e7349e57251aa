"""What holds for every container, and how secrets are looked for."""

import re

ROOT_ALLOWED = {"secrets"}  # gives volumes their owners, without a network
CAPABILITIES = {"secrets": {"CHOWN", "DAC_OVERRIDE", "FOWNER"}}
Containers = dict[str, dict]
"""What `docker inspect` says of each, by service."""


def assert_not_root(containers: Containers) -> None:
    for name, container in containers.items():
        if name in ROOT_ALLOWED:
            assert container["HostConfig"]["NetworkMode"] == "none", name
        else:
            assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", container["Config"]["User"]), name


def assert_confined(containers: Containers) -> None:
    for name, container in containers.items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert set(host["CapAdd"] or []) == CAPABILITIES.get(name, set()), name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        assert host["Init"], name


def assert_limited(containers: Containers) -> None:
    for name, container in containers.items():
        host = container["HostConfig"]
        assert 0 < host["Memory"] <= 8 * 2**30, name
        assert 0 < host["PidsLimit"] <= 4096, name
        assert host["CpuQuota"] > 0 or host["NanoCpus"] > 0, name
        assert host["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}, name


def leaks(text: str, values: dict[str, str]) -> list[str]:
    return [name for name, value in values.items() if value in text]
