"""What a run begins with: a client that may be used, and the ledger as it stands."""

from __future__ import annotations

from functools import partial

from insim_async._sending import Seam
from insim_async.campaigns import _runs, _spending, _standing
from insim_async.campaigns._ledger import Ledger
from insim_async.campaigns._plan import Plan, check_limits
from insim_async.campaigns._runs import Begun
from insim_async.campaigns.pacing import Limits
from insim_async.client import AsyncInSim
from insim_async.errors import ConfigurationError

__all__ = ["begin", "check_given_limits", "seam_of"]


def seam_of(insim: AsyncInSim) -> Seam:
    """Return what a client lends to a campaign or an outbox, if it may be run with that client.

    Raises:
        ConfigurationError: It may not.
    """
    if not isinstance(insim, AsyncInSim):
        raise ConfigurationError(f"insim: expected an AsyncInSim, got {type(insim).__name__}")
    seam = insim._seam()  # noqa: SLF001 - made for this
    if (misuse := seam.misuse()) is not None:
        raise misuse
    if seam.is_dry_run:
        raise ConfigurationError(
            "insim: with dry_run nothing is sent, and it would be taken for sent; rehearse "
            "against a sandbox, in another file"
        )
    return seam


def check_given_limits(limits: object) -> Limits:
    """Return limits that were given.

    Raises:
        ConfigurationError: They are none.
    """
    if not isinstance(limits, Limits):
        raise ConfigurationError(f"limits: expected Limits, got {type(limits).__name__}")
    return limits


async def begin(ledger: Ledger, seam: Seam, plan: Plan, limits: Limits | None) -> Begun:
    """Begin a run of which the lock is held.

    Args:
        ledger: Whose.
        seam: The client.
        plan: When it may send.
        limits: Are stored; None leaves those that are.

    Raises:
        ConfigurationError: It cannot be run: with these limits, with this account, or any more.
        LedgerUnavailable: The file cannot be written.
    """
    if limits is not None:
        await ledger.do(partial(_spending.set_limits, limits=check_given_limits(limits)))
    told, *_ = await ledger.do(_spending.limits_of)
    campaign = ledger.known.campaign
    is_campaign = ledger.known.kind == "campaign"  # an outbox gives up what is too long, by itself
    longest = await ledger.do(partial(_runs.longest, campaign=campaign)) if is_campaign else 1
    check_limits(told, plan, longest)
    begun = await ledger.do(
        partial(
            _runs.begin_run,
            opened=ledger.known,
            account=seam.account,
            plan=_standing.plan_to_json(plan),
            now=ledger.now,
        )
    )
    if isinstance(begun, str):
        raise ConfigurationError(f"{ledger.path}: {begun}")
    ledger.lock.mark(begun.campaign.epoch)
    return begun
