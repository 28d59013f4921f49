"""The webhooks of a sandbox: which is due, which waits, and what a try makes of it.

No I/O: who delivers takes them with ``next_ready`` and says with ``tried`` what became of each.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from insim_async.sandbox.faults import WebhookFault
from insim_async.sandbox.journal import Impossible
from insim_async.sandbox.queries import query_for
from insim_async.sandbox.records import Try, Webhook, WebhookState
from insim_async.sandbox.shelf import Feed, Shelf
from insim_async.timing import Retry
from insim_async.webhooks.events import Event
from insim_async.webhooks.parsing import payload_of

__all__ = ["Postbox"]

_WAITS_FOR_NEXT = timedelta(minutes=1)
_SLACK = 1000
_MOST_TRIES = 100
_OK = 200
_SETTLED = {WebhookState.HELD, WebhookState.DELIVERED, WebhookState.GAVE_UP}
_QUEUED = {WebhookState.READY, WebhookState.UNDER_WAY}


class Postbox:
    """Webhooks on their way to an app.

    Args:
        feed: Is told of each change.
        keep: How many are kept, done or not; the oldest goes first.
        retry: How often to try, and how long to wait between.
        clock: Gives the time in UTC.
        new_key: Makes keys.

    Attributes:
        kept: All that are kept, by key.
    """

    def __init__(
        self,
        feed: Feed,
        keep: int,
        retry: Retry,
        clock: Callable[[], datetime],
        new_key: Callable[[], int],
    ) -> None:
        self.kept: Shelf[int, Webhook] = Shelf("webhook", keep, feed)
        self._keep = keep
        self._most_waiting = 2 * keep + _SLACK
        self._retry = retry
        self._most_tries = max(_MOST_TRIES, retry.attempts)
        self._clock = clock
        self._new_key = new_key
        self.clear()

    def clear(self) -> None:
        """Take all away."""
        self.kept.clear()
        self._ready: deque[int] = deque(maxlen=self._keep)
        self._later: list[tuple[datetime, int]] = []
        self._before_next: list[int] = []
        self._followers: dict[int, list[int]] = {}

    def clear_settled(self) -> None:
        """Take those away that are not on their way, and wait for nothing."""
        for key in [webhook.key for webhook in self.kept if webhook.state in _SETTLED]:
            del self.kept[key]

    @property
    def backlog(self) -> int:
        """How many are ready and not under way."""
        return len(self._ready)

    def put(self, event: Event, *, about: int, url: str, fault: WebhookFault) -> Webhook:
        """Put a webhook on its way, once or as a fault wants it; without a URL it is held."""
        webhook = Webhook(
            key=self._new_key(),
            kind=event.kind,
            phone_number=event.phone_number,
            about=about,
            url=url,
            query=query_for(event, fault),
            payload=payload_of(event)[1].decode(),
            made_at=self._clock(),
            state=WebhookState.READY,
            fault=str(fault),
        )
        self._queue(webhook, fault)
        if fault.twice:
            self._queue(replace(webhook, key=self._new_key()), WebhookFault())
        waiting = len(self._later), len(self._before_next), len(self._followers)
        if max(waiting) > self._most_waiting:
            self._forget()
        return self.kept[webhook.key]

    def send_again(self, key: int, url: str) -> Webhook:
        """Send a webhook once more, whatever became of it.

        Raises:
            Impossible: It is not there, or has no URL to go to, or is on its way just now.
        """
        if key not in self.kept:
            raise Impossible("No such webhook")
        webhook = self.kept[key]
        if webhook.state in _QUEUED:
            raise Impossible("It is on its way")
        if not url:
            raise Impossible("No callback URL")
        self._make_ready(replace(webhook, url=url, by_hand=True))
        return self.kept[key]

    def next_due(self) -> datetime | None:
        """Return when the next one is due that waits for its time."""
        return self._later[0][0] if self._later else None

    def next_ready(self) -> Webhook | None:
        """Take the webhook that is to be sent next, if any is due."""
        self._release_due()
        while self._ready:
            key = self._ready.popleft()
            if key in self.kept:
                webhook = replace(self.kept[key], state=WebhookState.UNDER_WAY, again_at=None)
                self.kept[key] = webhook
                return webhook
        return None

    def tried(self, key: int, result: Try) -> None:
        """Note what became of a try, and whether there is another."""
        if key in self.kept:
            webhook = self.kept[key]
            tries = (*webhook.tries, result)[-self._most_tries :]
            self._settle(replace(webhook, tries=tries), result.status == _OK)
        for follower in self._followers.pop(key, []):
            self._release(follower)

    def _forget(self) -> None:
        """Drop what waits for webhooks that are no longer kept."""
        kept = self.kept
        self._later = [
            (due, key) for due, key in self._later if key in kept and kept[key].again_at == due
        ]
        heapq.heapify(self._later)
        self._before_next = [key for key in self._before_next if key in kept]
        followers = ((key, late) for key, late in self._followers.items() if key in kept)
        self._followers = dict(followers)

    def _settle(self, webhook: Webhook, delivered: bool) -> None:
        wait = self._retry.wait_after(len(webhook.tries), 1.0)
        if delivered:
            self.kept[webhook.key] = replace(webhook, state=WebhookState.DELIVERED)
        elif wait is None:
            self.kept[webhook.key] = replace(webhook, state=WebhookState.GAVE_UP)
        else:
            self._wait(webhook, WebhookState.WAITING, timedelta(seconds=wait))

    def _queue(self, webhook: Webhook, fault: WebhookFault) -> None:
        if not webhook.url:
            self.kept[webhook.key] = replace(webhook, state=WebhookState.HELD)
        elif fault.after_next:
            self._before_next.append(webhook.key)
            self._wait(webhook, WebhookState.LATE, _WAITS_FOR_NEXT)
        else:
            if self._before_next:
                self._followers[webhook.key] = self._before_next
                self._before_next = []
            if fault.delay:
                self._wait(webhook, WebhookState.LATE, timedelta(seconds=fault.delay))
            else:
                self._make_ready(webhook)

    def _make_ready(self, webhook: Webhook) -> None:
        # Queued before it is kept: that wakes who delivers.
        self._ready.append(webhook.key)
        self.kept[webhook.key] = replace(webhook, state=WebhookState.READY, again_at=None)

    def _wait(self, webhook: Webhook, state: WebhookState, wait: timedelta) -> None:
        due = self._clock() + wait
        heapq.heappush(self._later, (due, webhook.key))
        self.kept[webhook.key] = replace(webhook, state=state, again_at=due)

    def _release_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if key in self.kept and self.kept[key].again_at == due:
                self._release(key)

    def _release(self, key: int) -> None:
        if key in self.kept and self.kept[key].again_at is not None:
            self._make_ready(self.kept[key])
