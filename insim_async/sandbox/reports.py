"""What inSIM reports: records of the sandbox to events. The events write themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from insim_async.sandbox.records import PhoneCall, PhoneCallState, SentSms
from insim_async.webhooks.events import CallEvent, CallQualification, DeliveryStatus, LinkClick

__all__ = ["Reporter"]


class Reporter:
    """Makes the events of an account.

    Args:
        account: Its e-mail.
        timezone: Says of which zone dates without one are; None for this machine's.
    """

    def __init__(self, account: str, timezone: Callable[[], tzinfo | None]) -> None:
        self._account = account
        self._timezone = timezone

    def of_call(self, call: PhoneCall, now: datetime) -> CallEvent:
        """Report a call that has ended."""
        missed = call.state is PhoneCallState.MISSED
        return CallEvent(
            phone_number=call.phone_number,
            at=self._local(now),
            account=self._account,
            direction="missed" if missed else call.direction,
            duration=timedelta(seconds=call.duration),
        )

    def of_note(self, call: PhoneCall, source: str, now: datetime) -> CallQualification:
        """Report a note on a call."""
        return CallQualification(
            phone_number=call.phone_number,
            at=self._local(now),
            account=self._account,
            qualification=call.note,
            source=source,
        )

    def of_status(self, sms: SentSms, now: datetime) -> DeliveryStatus:
        """Report how far an SMS has come."""
        return DeliveryStatus(
            phone_number=sms.phone_number,
            at=now,
            account=self._account,
            sms_id=str(sms.sms_id),
            status=sms.state.value,
        )

    def of_nothing(self, now: datetime) -> DeliveryStatus:
        """Report an SMS that never was, to a number that nobody has."""
        return DeliveryStatus(
            phone_number="+33639980000",
            at=now,
            account=self._account,
            sms_id="sandbox-test",
            status="sent",
        )

    def of_click(self, sms: SentSms, now: datetime) -> LinkClick:
        """Report that a tracked link was followed; inSIM names no account here."""
        return LinkClick(
            phone_number=sms.phone_number,
            at=self._local(now),
            sms_id=str(sms.sms_id),
            link=sms.url,
        )

    def _local(self, now: datetime) -> datetime:
        return now.astimezone(self._timezone()).replace(tzinfo=None, microsecond=0)
