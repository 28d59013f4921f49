"""Test code that sends SMS and gets webhooks: no phone, no account, no socket, no waiting.

It is a plugin for pytest (``pip install "insim_async[testing]"``), which needs no configuration::

    async def test_a_guest_is_told_the_time(insim_client, insim_sandbox):
        await confirm(insim_client, "+33639980001", "20 h")
        insim_sandbox.assert_sent("+33639980001", "*20 h.")

Where the plugin is active, no client reaches the real inSIM but in tests that are marked
``insim_live``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insim_async.testing._time import TimeMachine

if TYPE_CHECKING:
    from insim_async.testing._sandbox import InSimSandbox

__all__ = ["InSimSandbox", "TimeMachine"]


def __getattr__(name: str) -> object:
    """Import late what is slow to import: the plugin is loaded in each test run."""
    if name != "InSimSandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from insim_async.testing._sandbox import InSimSandbox

    return InSimSandbox
