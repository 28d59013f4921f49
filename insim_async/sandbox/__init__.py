"""A fake inSIM, server and phone: it answers as documented, counts what it did, and fails on order.

In-process, without a socket::

    sandbox = Sandbox()
    transport = httpx.ASGITransport(app=sandbox_app(sandbox))

Over a socket: ``python -m insim_async.sandbox --port 8080``. Needs ``pip install
"insim_async[sandbox]"``.
"""

from importlib.util import find_spec

if find_spec("starlette") is None or find_spec("uvicorn") is None:
    raise ModuleNotFoundError(
        'starlette and uvicorn are missing: pip install "insim_async[sandbox]"'
    )

from insim_async.sandbox.app import sandbox_app
from insim_async.sandbox.state import Fault, Sandbox, SentSms

__all__ = ["Fault", "Sandbox", "SentSms", "sandbox_app"]
