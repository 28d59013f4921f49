"""The phone's own doing: it sends SMS when they are due, and reports how far each has come.

What is due is done by ``tick``, whoever calls it and when.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec.structs import replace

from insim_async.sandbox.journal import Journal
from insim_async.sandbox.records import SentSms, SmsState
from insim_async.sandbox.schedule import Schedule
from insim_async.sandbox.settings import Settings

__all__ = ["Handset"]

_BEFORE = {
    SmsState.PENDING: SmsState.SCHEDULED,
    SmsState.SENT: SmsState.PENDING,
    SmsState.RECEIVED: SmsState.SENT,
    SmsState.UNDELIVERED: SmsState.SENT,
}


class Handset:
    """Sends the SMS of an account.

    Args:
        journal: Keeps them.
        settings: Says what is set now.
        report: Sends a webhook about the state of an SMS.
        timezone: Says of which zone dates without one are; None for this machine's.
    """

    def __init__(
        self,
        journal: Journal,
        settings: Callable[[], Settings],
        report: Callable[[SentSms], object],
        timezone: Callable[[], tzinfo | None],
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._report = report
        self._timezone = timezone
        self.clear()

    def clear(self) -> None:
        """Forget what is to be done."""
        self._schedule = Schedule()
        self._stalled: list[int] = []

    def take(self, sms: SentSms) -> None:
        """Take an SMS, to be sent when it is due."""
        journal, now = self._journal, self._journal.moment()
        key, due = journal.new_key(), self._due(sms, now)
        state = SmsState.PENDING if due <= now else SmsState.SCHEDULED
        journal.sent[key] = replace(sms, key=key, state=state)
        journal.count_processed(str(sms.sms_id))
        if state is SmsState.SCHEDULED:
            self._schedule.add(due, key, SmsState.PENDING)
        else:
            self._after(self._settings().sent_after, key, SmsState.SENT)
        self._schedule.forget(journal.sent, 2 * journal.keep)

    def next_due(self) -> datetime | None:
        """Return when there is something to do next."""
        return self._schedule.next_due()

    def tick(self, has_room: Callable[[], bool]) -> None:
        """Do what is due by now, as long as there is room for its webhooks."""
        now = self._journal.moment()
        while has_room() and (step := self._schedule.pop(now)):
            self._come_to(*step)

    def go_on(self) -> None:
        """Send what waited for the phone to be online again."""
        stalled, self._stalled = self._stalled, []
        for key in stalled:
            self._after(self._settings().sent_after, key, SmsState.SENT)

    def mark(self, sms: SentSms, state: SmsState) -> None:
        """Let an SMS come to its end at once, by way of having been sent."""
        if sms.state is not SmsState.SENT:
            self._set(sms, SmsState.SENT)
        self._set(sms, state)

    def _come_to(self, key: int, state: SmsState) -> None:
        sent = self._journal.sent
        if key not in sent or sent[key].state is not _BEFORE[state]:
            return  # it is forgotten, or somebody was faster
        if state is SmsState.SENT and not self._settings().phone_connected:
            self._stall(key)
            return
        if state is SmsState.PENDING:
            self._after(self._settings().sent_after, key, SmsState.SENT)
        elif state is SmsState.SENT:
            end = SmsState.RECEIVED if self._settings().delivers else SmsState.UNDELIVERED
            self._after(self._settings().received_after, key, end)
        self._set(sent[key], state)

    def _stall(self, key: int) -> None:
        self._stalled.append(key)
        if len(self._stalled) > 2 * self._journal.keep:
            self._stalled = [each for each in self._stalled if each in self._journal.sent]

    def _set(self, sms: SentSms, state: SmsState) -> None:
        changed = replace(sms, state=state)
        self._journal.sent[sms.key] = changed
        if state in {SmsState.SENT, SmsState.RECEIVED}:
            self._report(changed)

    def _after(self, seconds: float, key: int, state: SmsState) -> None:
        self._schedule.add(self._journal.moment() + timedelta(seconds=seconds), key, state)

    def _due(self, sms: SentSms, now: datetime) -> datetime:
        if sms.send_at is None:
            return now
        zone = self._timezone()
        try:
            in_zone = sms.send_at.replace(tzinfo=zone) if zone else sms.send_at.astimezone()
            return in_zone.astimezone(UTC)
        except (OverflowError, ValueError):  # at the ends of time
            return sms.send_at.replace(tzinfo=UTC)
