"""An HTTP front without a model: it reads the body and answers a constant.

python -m uvicorn --app-dir benchmarks/peers/bare asgi:app
"""

ANSWER = b'{"predictions": [0]}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(ANSWER)).encode()),
]


async def app(scope, receive, send):
    """An ASGI application."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
