"""Shows a gallery in a browser: drop a photograph, see its neighbors."""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from dmlbook._checks import bad_input, check_number, checked
from dmlbook.commands import common, uses
from dmlbook.use import serving

ABOUT = """\
A photograph that is dropped is sent to this machine alone, looked at in memory and forgotten. Pictures of the gallery
are shown as small copies. By default nobody else can reach the page; with --host everybody in your network can, without
a password: see the photographs' small copies and names, and search. It needs: pip install -e ".[demo]"

examples
  python -m dmlbook demo --run runs/birds-softtriple --gallery photos
  python -m dmlbook demo --run runs/birds-softtriple --gallery photos --port 8123 --no-update
  ssh -L 8000:localhost:8000 you@machine        (the page of another machine, without --host)
"""


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    parser.add_argument("--gallery", required=True, help="folder of photographs, and of folders of them")
    parser.add_argument("--most", type=common.integer, default=12, help="how many are shown (default: 12)")
    parser.add_argument("--port", type=common.integer, default=8000, help="where it listens (default: 8000)")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 opens it to your network (default: 127.0.0.1)")
    parser.add_argument("--no-update", action="store_true", help="show the gallery as it was indexed last")
    uses.add_store_arguments(parser)
    uses.add_work_arguments(parser)


@checked
def run(options: Namespace) -> int:
    check_number(low=1, high=10_000, integer=True, **{"--most": options.most})
    check_number(low=0, high=65_535, integer=True, **{"--port": options.port})
    serving.check_installed()
    listener = _listener(options.host, options.port)
    try:
        gallery, work = uses.gallery(options)
        if not options.no_update:
            uses.updated(gallery, options, work)
        app = serving.demo_app(gallery, most=options.most, hosts=serving.names_of(options.host))
        _serve(app, listener, options.host)
    finally:
        listener.close()
    return 0


def _listener(host: str, port: int) -> socket.socket:
    """Taken before the work: a port that is not free is told at once."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        raise bad_input(
            "--host and --port", "be free to listen at", f"{host}:{port} ({error})", "Try another."
        ) from error


def _serve(app: object, listener: socket.socket, host: str) -> None:
    import uvicorn

    if host not in serving.LOOPBACK:
        print("note: everybody who reaches this machine can search, and see names and small copies", file=sys.stderr)
    name = host if ":" not in host else f"[{host}]"
    print(f"http://{name}:{listener.getsockname()[1]}  (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", limit_concurrency=32, timeout_keep_alive=5, timeout_graceful_shutdown=2,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    with suppress(KeyboardInterrupt):  # uvicorn hands it on when it has ended
        uvicorn.Server(config).run(sockets=[listener])
    print("ended")
