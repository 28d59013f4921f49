"""A fake inSIM, server and phone: it answers and calls back as documented, and fails on order.

In-process, without a socket::

    sandbox = Sandbox()
    http_client = httpx.AsyncClient(transport=SandboxTransport(sandbox))

Over a socket: ``python -m insim_async.sandbox --port 8080``. That, and ``sandbox_app``, need ``pip
install "insim_async[sandbox]"``. For tests there is ``insim_async.testing``.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from insim_async.sandbox.faults import Fault, WebhookFault
from insim_async.sandbox.journal import Impossible
from insim_async.sandbox.records import (
    PhoneCall,
    PhoneCallState,
    ReceivedSms,
    SentSms,
    SmsState,
    Try,
    Webhook,
    WebhookState,
)
from insim_async.sandbox.settings import Settings
from insim_async.sandbox.state import Sandbox

if TYPE_CHECKING:
    from insim_async.sandbox.app import sandbox_app
    from insim_async.sandbox.transport import SandboxTransport

__all__ = [
    "Fault",
    "Impossible",
    "PhoneCall",
    "PhoneCallState",
    "ReceivedSms",
    "Sandbox",
    "SandboxTransport",
    "SentSms",
    "Settings",
    "SmsState",
    "Try",
    "Webhook",
    "WebhookFault",
    "WebhookState",
    "sandbox_app",
]


def __getattr__(name: str) -> object:
    """Import late what is slow to import, or needs the extra."""
    if name == "SandboxTransport":
        from insim_async.sandbox.transport import SandboxTransport

        return SandboxTransport
    if name != "sandbox_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise ModuleNotFoundError(
            'starlette and uvicorn are missing: pip install "insim_async[sandbox]"'
        )
    from insim_async.sandbox.app import sandbox_app

    return sandbox_app
