"""What tags and SERVING_NETWORK allow, and which addresses are public."""

import pytest

from model_server import options, settings
from model_server.network import rules
from model_server.network.rules import Host, Network


@pytest.mark.parametrize(
    ("tag", "name", "port", "is_allowed"),
    [
        ("api.example.org", "api.example.org", 443, True),
        ("api.example.org", "api.example.org", 80, True),
        ("api.example.org", "api.example.org", 8443, False),
        ("api.example.org:8443", "api.example.org", 8443, True),
        ("api.example.org:8443", "api.example.org", 443, False),
        ("API.Example.org.", "api.example.org", 443, True),
        ("api.example.org", "example.org", 443, False),
        ("api.example.org", "xapi.example.org", 443, False),
        ("api.example.org", "api.example.org.example.net", 443, False),
        ("a.example , b.example:1", "a.example", 80, True),
        ("a.example , b.example:1", "b.example", 1, True),
        ("*.example.org", "a.example.org", 443, True),
        ("*.example.org", "a.b.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", "anexample.org", 443, False),
        ("*.example.org:99", "a.example.org", 99, True),
        ("[2001:DB8::1]:99", "2001:db8::1", 99, True),
        ("198.51.100.7", "198.51.100.7", 443, True),
        ("198.51.100.7", "198.51.100.70", 443, False),
        ("", "a.example", 443, False),
    ],
)
def test_tag_allows_what_it_names(tag, name, port, is_allowed):
    assert bool(Network().with_tag(tag).find(name, port)) is is_allowed


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example.org",
        "api.example.org/path",
        "user@api.example.org",
        "api.example.org:",
        "api.example.org:0",
        "api.example.org:65536",
        "api.example.org:https",
        "a..b",
        "*",
        "*example.org",
        "a.*.org",
        "*.198.51.100.7",
        "*.[2001:db8::1]",
        "2001:db8::1",
        "[2001:db8::x]",
        "two words.org",
        "bücher.example",
        "on",
        "off",
        "a.example,true",
    ],
)
def test_what_is_no_host_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"\A.+\Z"):
        Network().with_tag(text)
    if text not in ("on", "off"):
        with pytest.raises(ValueError, match=r"\A.+\Z"):
            rules.of_setting(text)


def test_tag_opens_no_port_without_the_proxy():
    with pytest.raises(ValueError, match=":5432"):
        Network().with_tag(":5432")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Network()),
        ("off", Network()),
        ("FALSE", Network()),
        ("on", Network(anything=True)),
        ("true", Network(anything=True)),
        (":5432", Network(ports=(5432,))),
        (
            "db.internal:5432, :9092,10.0.0.7",
            Network((Host("db.internal", 5432, True), Host("10.0.0.7", None, True)), (9092,)),
        ),
    ],
)
def test_setting_says_what_all_models_reach(text, expected):
    assert rules.of_setting(text) == expected


@pytest.mark.parametrize("text", [":0", ":70000", ":x", ":", ":1-9", "a.example,:²"])
def test_setting_with_a_bad_port_is_refused(text):
    with pytest.raises(ValueError, match="1 to 65535"):
        rules.of_setting(text)


def test_what_the_operator_names_may_be_anywhere_though_the_tag_names_it_too():
    network = rules.of_setting("db.example:5432").with_tag("db.example:5432,api.example")
    assert network.find("db.example", 5432).anywhere
    assert not network.find("api.example", 443).anywhere


@pytest.mark.parametrize(
    ("setting", "tag", "expected"),
    [
        ("", "", False),
        ("", "a.example", True),
        ("a.example", "", True),
        (":5432", "", False),
        ("on", "a.example", False),
    ],
)
def test_proxy_is_needed_where_hosts_are_named(setting, tag, expected):
    assert rules.of_setting(setting).with_tag(tag).proxied is expected


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
def test_public_addresses(address):
    assert rules.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "168.63.129.16",
        "169.254.169.254",
        "172.17.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:168.63.129.16",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::101:101",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_addresses_that_are_not_public(address):
    assert not rules.is_public(address)


@pytest.mark.parametrize(
    ("setting", "tag", "hosts", "warned"),
    [
        ("", None, (), None),
        ("", "api.example.org", ("api.example.org",), None),
        ("db.internal:5432", "api.example.org", ("db.internal", "api.example.org"), None),
        ("db.internal:5432", "http://x", ("db.internal",), "it can be hosts"),
        ("off", "api.example.org", (), "not heeded: SERVING_NETWORK=off"),
        ("off", "http://x", (), "not heeded: SERVING_NETWORK=off"),
    ],
)
def test_options_take_the_tag_beside_the_setting(setting, tag, hosts, warned):
    tags = {} if tag is None else {"serving.network": tag}
    chosen, warnings = options.options(settings.Settings(network=setting), tags)
    assert tuple(host.name for host in chosen.network.hosts) == hosts
    assert len(warnings) == bool(warned)
    assert not warned or warned in warnings[0]
