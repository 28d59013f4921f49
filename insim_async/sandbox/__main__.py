"""``python -m insim_async.sandbox``: the sandbox on a socket, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from insim_async.sandbox import Sandbox, sandbox_app


class _Server(uvicorn.Server):
    """Prints one line once it accepts connections, so that a parent process can wait for it."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._ready, flush=True)  # noqa: T201 - this line is the interface


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal comes, then exit with 0.

    Raises:
        SystemExit: Always: 0 after a signal, 1 where the address is not free, 2 for wrong arguments.
    """
    # uvicorn raises the signal that stopped it once more at its end: by default a traceback, or a kill
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    options = _parser().parse_args(arguments)
    with _listen(options.host, options.port) as listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        ready = f"inSIM sandbox ready at {url} login={options.login} access_key={options.access_key}"
        app = sandbox_app(Sandbox(options.login, options.access_key))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        _Server(config, ready).run([listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m insim_async.sandbox", description="A fake inSIM server.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--login", default="demo@example.com", help="default: %(default)s")
    parser.add_argument("--access-key", default="demo-key", help="a made-up one (default: %(default)s)")
    return parser


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        sys.exit(f"Cannot listen on {host} port {port}: {error}")


if __name__ == "__main__":
    main()
