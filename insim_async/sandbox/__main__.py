"""Run the sandbox on a socket: ``python -m insim_async.sandbox``.

It ends with SIGINT or SIGTERM or, where asked for, when its parent is gone.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if find_spec("starlette") is None or find_spec("uvicorn") is None:
    sys.exit('starlette and uvicorn are missing: pip install "insim_async[sandbox]"')

import uvicorn

from insim_async.sandbox import Sandbox, sandbox_app
from insim_async.sandbox.faults import Kind

_NOT_ALONE = "Not only this machine can reach it, since it listens on"


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
        SystemExit: 1 where the address is not free or a setting makes no sense, 2 for wrong
            arguments.
    """
    options = _parser().parse_args(arguments)
    with _listen(options.host, options.port) as listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        ready = (
            f"inSIM sandbox ready at {url} login={options.login} access_key={options.access_key}"
        )
        app = sandbox_app(_sandbox(options), hosts=options.allow_host)
        # Whoever is still served, or watches, is cut off: the end comes at once.
        config = uvicorn.Config(
            app, log_level="critical", lifespan="on", timeout_graceful_shutdown=0
        )
        server = _Server(config, ready)
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises the signal that stopped it once more at its end: by default a
            # traceback, or a kill
            signal.signal(number, server.handle_exit)
        if not _is_loopback(listener):
            print(_NOT_ALONE, options.host, file=sys.stderr)  # noqa: T201 - for whoever started it
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
    parser.add_argument(
        "--callback",
        action="append",
        default=[],
        metavar="[KIND=]URL",
        help=f"where webhooks go, or those of one kind: {', '.join(get_args(Kind))}",
    )
    parser.add_argument(
        "--sent-after", type=float, default=1.0, help="seconds (default: %(default)s)"
    )
    parser.add_argument(
        "--received-after", type=float, default=2.0, help="seconds (default: %(default)s)"
    )
    parser.add_argument("--timezone", help="of dates without one (default: this machine's)")
    parser.add_argument("--footer", default="", help="what is appended to each text")
    parser.add_argument(
        "--fault-rate", type=float, default=0.0, help="share of requests that meet a fault: 0 to 1"
    )
    parser.add_argument(
        "--webhook-fault-rate", type=float, default=0.0, help="share of webhooks that meet one"
    )
    parser.add_argument("--seed", type=int, default=0, help="repeats a run's faults")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        help="a name with a dot under which it is reached; others are refused as foreign",
    )
    return parser


def _sandbox(options: argparse.Namespace) -> Sandbox:
    one, each = "", {}
    for given in options.callback:
        kind, separator, url = given.partition("=")
        if separator and kind in get_args(Kind):
            each[kind] = url
        else:
            one = given
    try:
        return Sandbox(
            options.login,
            options.access_key,
            footer=options.footer,
            timezone=ZoneInfo(options.timezone) if options.timezone else None,
            callback=one,
            callbacks=each,
            sent_after=options.sent_after,
            received_after=options.received_after,
            fault_rate=options.fault_rate,
            webhook_fault_rate=options.webhook_fault_rate,
            seed=options.seed,
        )
    except (ValueError, ZoneInfoNotFoundError) as error:
        sys.exit(f"{error}")


def _is_loopback(listener: socket.socket) -> bool:
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


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
