"""A gallery as a small web page: drop a photograph, see its neighbors. For one machine, or a few colleagues.

Photographs that are sent are decoded in memory and forgotten. Pictures of the gallery are shown as small copies, by
number; no address reaches any other file. Every answer forbids the browser what the page does not need.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from dmlbook._checks import at_least, bad_input, checked
from dmlbook.datasets.photos.decoding import decode_content
from dmlbook.use.gallery import Gallery
from dmlbook.use.page import cosine, thumbnail
from dmlbook.use.run_folders import name_of
from dmlbook.use.trained import image_set_of

WEB = Path(__file__).parent / "web"
FILES = {"/": "demo.html", "/demo.css": "demo.css", "/demo.js": "demo.js"}
MOST_BYTES = 32_000_000
"""Of a photograph that is sent."""
MOST_PIXELS = 64_000_000
DECODED_AT_ONCE = 2
"""Photographs: each may take a quarter of a gigabyte while it is decoded."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
INSTALL = 'Install it: pip install -e ".[demo]"'


@checked(most=at_least(1), most_bytes=at_least(1), most_pixels=at_least(1))
def demo_app(
    gallery: Gallery,
    *,
    most: int = 12,
    hosts: Iterable[str] = LOOPBACK,
    most_bytes: int = MOST_BYTES,
    most_pixels: int = MOST_PIXELS,
) -> object:
    """The page as an ASGI application, for ``uvicorn`` or another server.

    Args:
        gallery: Updated; what is in it now is shown.
        most: Neighbors shown, >= 1.
        hosts: Names that a browser may have asked for. Others are refused, so that no page elsewhere can reach this
            one under a name of its own (DNS rebinding). ``"*"`` among them: any address of digits, too.
        most_bytes: Of a photograph that is sent.
        most_pixels: Of it, decoded.

    Raises:
        ValueError: Starlette is missing, or the gallery is empty.
    """
    check_installed()
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    gallery.check_filled()
    shown = gallery.paths()
    numbers = {path: number for number, (path, _) in enumerate(shown)}
    allowed, one_at_a_time = frozenset(host.lower() for host in hosts), threading.Lock()
    decoding = threading.BoundedSemaphore(DECODED_AT_ONCE)

    def refused(status: int, why: str) -> JSONResponse:
        return JSONResponse({"error": why}, status)

    async def page(request: Request) -> Response:
        name = FILES[request.url.path]
        kind = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}[Path(name).suffix]
        return Response((WEB / name).read_bytes(), media_type=kind)

    async def about(request: Request) -> Response:
        run, folder = name_of(gallery.run.folder), gallery.folder.resolve().name
        text = f"{len(shown):,} photographs in {folder}, by the run {run}."
        return JSONResponse({"text": text})

    async def picture(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(shown):
            return refused(404, "There is no such photograph.")
        try:
            content = await asyncio.to_thread(thumbnail, gallery.file_of(shown[number][0]))
        except Exception:  # Pillow's readers raise nearly anything on a broken file
            return refused(404, "This photograph is there no more.")
        return Response(content, media_type="image/jpeg")

    async def search(request: Request) -> Response:
        sender = request.headers.get("origin")
        if sender is not None and sender.partition("://")[2] != request.headers.get("host"):
            return refused(403, "Only this page may ask.")
        content = bytearray()
        async for piece in request.stream():
            content += piece
            if len(content) > most_bytes:
                return refused(413, f"A photograph may have {most_bytes / 1e6:g} MB at most.")
        return await asyncio.to_thread(answer, bytes(content))

    def answer(content: bytes) -> Response:
        try:
            with decoding:
                pixels, aspect = decode_content(io.BytesIO(content), gallery.run.size, most_pixels=most_pixels)
        except Exception:  # Pillow's readers raise nearly anything on a broken file
            limit = f"{most_pixels / 1e6:g} million pixels at most"
            return refused(415, f"This is no photograph that can be read: JPEG, PNG, WebP and others, {limit}.")
        try:
            with one_at_a_time:  # a network is in evaluation mode for all who use it
                (hits,) = gallery.search(_embedded(gallery, pixels, aspect), most=most)
        except ValueError:  # the gallery is gone, or the store does not answer; the reason names folders
            return refused(503, "The gallery cannot be searched now. Is it indexed anew?")
        found = [
            {
                "number": numbers[hit.path],
                "path": hit.path,
                "label": hit.label,
                "distance": hit.distance,
                "cosine": cosine(hit.distance) if gallery.run.unit else None,
            }
            for hit in hits
            if hit.path in numbers  # others came after this page was started
        ]
        return JSONResponse({"hits": found})

    routes = [Route(path, page) for path in FILES]
    routes += [Route("/about", about), Route("/picture/{number:int}", picture)]
    routes += [Route("/search", search, methods=["POST"])]
    return _guarded(Starlette(routes=routes), allowed)


def check_installed() -> None:
    """What the page needs is there.

    Raises:
        ValueError: It is not; the message says how to install it.
    """
    from importlib.util import find_spec

    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise bad_input(missing[0], "be installed to show a gallery", "none", INSTALL)


def _embedded(gallery: Gallery, pixels: np.ndarray, aspect: float) -> torch.Tensor:
    return gallery.run.embed(image_set_of(np.ascontiguousarray(pixels)[None], [aspect]))


def _guarded(app, allowed: frozenset[str]):
    """Refuses foreign host names, and sends ``HEADERS`` with every answer."""
    from starlette.datastructures import Headers, MutableHeaders
    from starlette.responses import PlainTextResponse

    async def guarded(scope, receive, send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        inner = app if is_allowed(Headers(scope=scope).get("host", ""), allowed) else refusal
        await inner(scope, receive, send_with_headers)

    refusal = PlainTextResponse("This name is not this server's.", 421)
    return guarded


def is_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether a browser that says ``Host: host`` meant this server.

    Example:
        >>> is_allowed("localhost:8000", LOOPBACK), is_allowed("evil.example:8000", LOOPBACK)
        (True, False)
    """
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:\d{1,5})?", host)
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    if name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "*" in allowed


def names_of(host: str) -> tuple[str, ...]:
    """The names under which a server that listens at ``host`` is asked: of this machine alone, or of its network."""
    if host in LOOPBACK:
        return LOOPBACK
    return (*LOOPBACK, host, "*", socket.gethostname(), socket.getfqdn())
