"""Clients that models use, with a worker's variables: what they reach, and what they say if not."""

import asyncio
import importlib.util
import os
import ssl
import urllib.error
import urllib.request

import pytest


def _urllib(url: str) -> str:
    # Not urlopen: it keeps the variables that it saw first, here another test's.
    with urllib.request.build_opener().open(url, timeout=10) as answer:
        return answer.read().decode()


def _requests(url: str) -> str:
    import requests

    return requests.get(url, timeout=10).text


def _httpx(url: str) -> str:
    import httpx

    return httpx.get(url, timeout=10).text


def _httpx_async(url: str) -> str:
    import httpx

    async def ask() -> str:
        async with httpx.AsyncClient(timeout=10) as client:
            return (await client.get(url)).text

    return asyncio.run(ask())


def _urllib3(url: str) -> str:
    """urllib3 heeds no variables itself."""
    import urllib3

    headers = urllib3.make_headers(
        proxy_basic_auth=os.environ["HTTPS_PROXY"].split("/")[2].rpartition("@")[0]
    )
    with urllib3.ProxyManager(os.environ["HTTPS_PROXY"], proxy_headers=headers) as pool:
        return pool.request("GET", url, timeout=10, retries=False).data.decode()


def _aiohttp(url: str) -> str:
    import aiohttp

    trusted = ssl.create_default_context()  # aiohttp's own is made when it is first imported

    async def ask() -> str:
        connector = aiohttp.TCPConnector(ssl=trusted)
        async with (
            aiohttp.ClientSession(trust_env=True, connector=connector) as session,
            session.get(url) as answer,
        ):
            return await answer.text()

    return asyncio.run(ask())


def _boto3(url: str) -> str:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=url.removesuffix("/bucket/key"),
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    return client.get_object(Bucket="bucket", Key="key")["Body"].read().decode()


def _openai(url: str) -> str:
    import openai

    client = openai.OpenAI(base_url=url.removesuffix("/bucket/key"), api_key="a", max_retries=0)
    return client.get("/bucket/key", cast_to=object)["path"]


CLIENTS = {
    "urllib": _urllib,
    "requests": _requests,
    "httpx": _httpx,
    "httpx async": _httpx_async,
    "urllib3": _urllib3,
    "aiohttp": _aiohttp,
    "boto3": _boto3,
    "openai": _openai,
}


@pytest.fixture(params=CLIENTS)
def ask(request):
    if not importlib.util.find_spec(request.param.partition(" ")[0]):
        pytest.skip(f"{request.param} is not installed")
    return CLIENTS[request.param]


@pytest.fixture(autouse=True)
def _trusts_the_test(certificate, monkeypatch):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificate))


@pytest.fixture(params=["http", "https"])
def host(request):
    return request.getfixturevalue("secure_origin" if request.param == "https" else "origin")


def _use(running, monkeypatch) -> None:
    for name, value in running.variables.items():
        monkeypatch.setenv(name, value)


def test_client_reaches_what_is_allowed(running, host, ask, monkeypatch):
    one = running(host.host)
    _use(one, monkeypatch)
    assert "/bucket/key" in ask(f"{host.url}/bucket/key")
    assert one.proxy.refused == {}
    assert host.asked == ["/bucket/key"]


def test_client_is_refused_the_rest(running, host, ask, monkeypatch):
    one = running("other.example")
    _use(one, monkeypatch)
    try:
        said = ask(f"{host.url}/bucket/key")
    except Exception as error:
        said = f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert '"path": "/bucket/key"' not in said
    assert one.proxy.refused.keys() == {host.host}
    assert host.asked == []
