"""Run the sandbox on a socket: ``python -m insim_async.sandbox``.

It ends with SIGINT or SIGTERM or, where asked for, when its parent is gone.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
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

    def stop_at_end_of_input(self) -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
            pass
        self.should_exit = True


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal comes or, where asked for, until standard input ends.

    Raises:
        SystemExit: 1 where the address is not free, 2 for wrong arguments.
    """
    options = _parser().parse_args(arguments)
    with _listen(options.host, options.port) as listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        ready = (
            f"inSIM sandbox ready at {url} login={options.login} access_key={options.access_key}"
        )
        app = sandbox_app(Sandbox(options.login, options.access_key))
        server = _Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1),
            ready,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises the signal that stopped it once more at its end: by default a
            # traceback, or a kill
            signal.signal(number, server.handle_exit)
        if options.until_eof:
            threading.Thread(target=server.stop_at_end_of_input, daemon=True).start()
        server.run([listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m insim_async.sandbox", description="A fake inSIM server."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument("--login", default="demo@example.com", help="default: %(default)s")
    parser.add_argument(
        "--access-key", default="demo-key", help="a made-up one (default: %(default)s)"
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="stop when standard input ends, as with its parent"
    )
    return parser


def _listen(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except (OSError, OverflowError) as error:
        sys.exit(f"Cannot listen on {host} port {port}: {error}")
    # It is made with protocol 0, for which asyncio sets no TCP_NODELAY: an answer over a kept
    # connection took 44 ms.
    return socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())


if __name__ == "__main__":
    main()
