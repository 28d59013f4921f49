"""The self-test of a callback URL: do long and awkward events arrive, through all before the app?

``_probe`` sends the events of ``_samples`` to a ``_callback``; ``_meaning`` and ``_limits`` say
what the answers mean, and are pure; ``_network`` does the I/O.
"""

from __future__ import annotations

from insim_async.webhooks.selftest._callback import Callback, NoReply, Reply, read_callback
from insim_async.webhooks.selftest._network import over_network
from insim_async.webhooks.selftest._probe import SampleResult, run_selftest, verdict

__all__ = [
    "Callback",
    "NoReply",
    "Reply",
    "SampleResult",
    "over_network",
    "read_callback",
    "run_selftest",
    "verdict",
]
