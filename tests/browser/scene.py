"""A workshop's day on a sandbox, with its own clock: what the pictures of the phone show.

``python -m tests.browser.scene FOLDER`` takes the pictures that the documentation has.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, sync_playwright

from insim_async.models import Contact, Priority
from insim_async.sandbox import Fault, Sandbox, Try, Webhook, sandbox_app
from insim_async.sandbox.records import SentSms
from insim_async.segments import count as segments
from insim_async.timing import Retry
from tests.browser.conftest import CHROMIUM
from tests.browser.looking import Look

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2025, 11, 27, 9, 17, 21, tzinfo=PARIS)
CALLBACK = "http://127.0.0.1:8000/insim/s3cr3t"
HELENE = "+33639986183"
PEOPLE = {
    HELENE: ("Hélène", "Martin"),
    "+33639980102": ("Yanis", "Benali"),
    "+33639980103": ("Léa", "Müller"),
    "+33639980104": ("Théo", "Garnier"),
    "+33639980105": ("Inès", "Lefèvre"),
    "+33639980106": ("Maëlys", "Dubois"),
    "+33639980107": ("Noé", "Caron"),
    "+33639980108": ("Jean-Baptiste", "Rousseau-Delacroix"),
    "+33639980109": ("Océane", "Petit"),
    "+33639980110": ("Lucas", "Fontaine"),
    "+33639980111": ("Chloé", "Simon"),
}


class Day:
    """A sandbox whose time is set by hand, and what its app answered."""

    def __init__(self) -> None:
        self.now = NOW - timedelta(days=2)
        numbers = count(0x3F9C1A7B20DE)
        self.sandbox = Sandbox(
            clock=lambda: self.now.astimezone(UTC),
            timezone=PARIS,
            callback=CALLBACK,
            token=lambda size: f"{next(numbers):012x}"[-2 * size :],
            retry=Retry(attempts=8, base=8.0, cap=300.0),
            sent_after=0.5,
            received_after=1_000_000,  # for what was sent until the picture is taken
        )
        self.sandbox.add(
            [Contact(number, first_name=a, last_name=b) for number, (a, b) in PEOPLE.items()]
        )

    def at(self, hour: int, minute: int, second: int = 0, *, days: int = 0) -> None:
        """Let it be that time, so many days ago."""
        wall = NOW.replace(hour=hour, minute=minute, second=second)
        self.now = wall - timedelta(days=days)

    def send(self, number: str, text: str, ends: str = "received", **facts: Any) -> SentSms:
        """Let the app send an SMS, and the phone take it to its end; reports wait for answers."""
        link = f"https://arsms.co/{self.sandbox.token(6)}" if facts.get("url") else ""
        self.sandbox.journal.count_request()
        message = text.replace("[link]", link)
        parts = segments(message).parts
        sms = SentSms(number, message, sent_at=self.now, parts=parts, link=link, sms_id="x")
        sms = replace(sms, sms_id=f"facture-{2869 + len(self.sandbox.messages)}", **facts)
        self.sandbox.send([sms])
        if ends == "sent":
            self.later(0.5)
        elif ends == "undelivered":
            self.sandbox.leave_undelivered(number)
        elif ends == "received":
            self.sandbox.mark_delivered(number)
        return self.sandbox.messages[-1]

    def later(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now += timedelta(seconds=seconds)
        self.sandbox.tick()

    def answer(self, status: int | None = 200, problem: str = "", seconds: float = 0.038) -> None:
        """Let the app answer all webhooks that are due."""
        postbox = self.sandbox.postbox
        while (webhook := postbox.next_ready()) is not None:
            result = Try(at=self.now, status=status, problem=problem, seconds=seconds)
            postbox.tried(webhook.key, result)

    def give_up_on(self, webhook: Webhook) -> None:
        """Let the app fail to answer a webhook until it is given up."""
        postbox, now = self.sandbox.postbox, self.now
        while postbox.next_ready() is not None:
            postbox.tried(webhook.key, Try(at=self.now, status=500, seconds=0.02))
            self.now = postbox.kept[webhook.key].again_at or now


def workshop() -> Day:
    """Return a bicycle workshop's day, until a phone rings."""
    day = Day()
    sandbox = day.sandbox
    _yesterday(day)
    day.at(8, 41, 9)
    sandbox.change(callback="")
    sandbox.miss_call(HELENE)
    sandbox.change(callback=CALLBACK)
    day.at(8, 47)
    sandbox.miss_call("+33639980107")
    day.at(8, 52)
    sandbox.call_in(HELENE, seconds=134)
    sandbox.leave_note("Passe plutôt samedi. La rappeler avant midi.", HELENE)
    day.answer(seconds=0.044)
    day.at(8, 58)
    quote = "Votre devis de 148 € est prêt : [link]"
    day.send("+33639980104", quote, "undelivered", url="https://example.com/d/77")
    day.give_up_on(sandbox.webhooks[-1])
    day.at(9, 2)
    sandbox.reply("+33639980106", "Parfait, à samedi !")
    day.answer()
    day.at(9, 10)
    day.send("+33639980105", "Votre facture : [link]", "sent", url="https://example.com/f/2870")
    day.answer()
    bill = "https://example.com/f/2871"
    day.send(HELENE, "Votre facture de 48 € : [link]", url=bill, priority=Priority.HIGH)
    day.answer()
    day.at(9, 11)
    sandbox.reply("+33639984107", "Bonjour, vous réparez aussi les vélos électriques ? 🙂")
    day.answer()
    day.at(9, 12, 35)
    sandbox.click(HELENE)
    day.answer(None, "no answer within 5 s", 5.0)
    day.now = next(w for w in sandbox.webhooks if w.again_at).again_at or day.now
    day.answer(seconds=0.041)
    day.at(9, 14)
    day.send(
        "+33639980103",
        "Rappel : contrôle des freins vendredi à 10 h, répondez OUI pour confirmer",
    )
    day.answer()
    sandbox.send_again(sandbox.webhooks[-1].key)
    day.answer(seconds=0.036)
    day.at(9, 15)
    day.send(HELENE, "Oui, samedi de 9 h à 17 h.", "undelivered")
    day.at(9, 16, 2)
    day.send(HELENE, "Nous vous attendons samedi.", "sent")
    day.answer()
    day.at(9, 16, 30)
    sandbox.reply("+33639980102", "STOP")
    day.answer()
    day.at(9, 17)
    day.send(HELENE, "Pensez à apporter la clé de l'antivol.", "", priority=Priority.LOW)
    evening = datetime(2025, 11, 28, 18)  # noqa: DTZ001 - as the account says it
    day.send(HELENE, "Rappel : rendez-vous demain samedi. À demain !", "", send_at=evening)
    day.at(9, 17, 17)
    sandbox.reply(HELENE, "Vous êtes ouverts samedi ?")
    day.answer(503)
    sandbox.change(received_after=2)
    day.now = NOW
    sandbox.ring(HELENE)
    sandbox.order(Fault(path="sendsms", status=429, retry_after=30, times=2))
    sandbox.order(Fault(lose_answer=True))
    return day


def _yesterday(day: Day) -> None:
    sandbox = day.sandbox
    day.at(9, 30, days=2)
    sandbox.reply("+33639980111", "Merci beaucoup")
    day.at(10, 5, days=1)
    day.send("+33639980110", "Votre vélo est prêt : 112 €")
    sandbox.reply("+33639980109", "Ok merci")
    day.send(
        "+33639980108", "Merci de votre visite. Un avis ? [link]", url="https://example.com/avis"
    )
    next_week = datetime(2025, 12, 4, 9)  # noqa: DTZ001 - as the account says it
    day.send("+33639980003", "Votre vélo vous attend depuis une semaine", "", send_at=next_week)
    day.at(17, 30, days=1)
    ready = "Bonjour Hélène, votre vélo est prêt : 48 €. Nous sommes ouverts aujourd'hui"
    day.send(HELENE, f"{ready} jusqu'à 19 h. Atelier Lumière")
    day.at(17, 34, days=1)
    sandbox.reply(HELENE, "Merci ! Je passe demain matin, 100% sûre. 🙂")
    day.answer()


def on_a_socket(
    sandbox: Sandbox, port: int = 0, *, calls_back: bool = True
) -> AbstractContextManager[str]:
    """Serve a sandbox from a thread, and give its URL; it calls back if time is as it is."""
    return served_app(sandbox_app(sandbox), port, lives=calls_back)


@contextmanager
def served_app(app: Any, port: int = 0, *, lives: bool = False) -> Iterator[str]:
    """Serve an ASGI app from a thread, and give its URL."""
    config = uvicorn.Config(
        app,
        port=port,
        log_level="critical",
        lifespan="on" if lives else "off",
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()  # who comes before it serves waits
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def shown(browser: Browser, url: str, look: Look, *, scale: float = 1) -> Page:
    """Open the phone as it was then."""
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height},
        color_scheme=look.scheme,
        reduced_motion="reduce",
        device_scale_factor=scale,
        timezone_id="Europe/Paris",
        locale="en-GB",
    )
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto(url)
    return page


def main(folder: Path) -> None:
    """Take the pictures."""
    with sync_playwright() as playwright, on_a_socket(workshop().sandbox, calls_back=False) as url:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = shown(browser, url, Look(scheme, 1200, 740))
            page.get_by_text("Click-to-call rings").wait_for()
            page.screenshot(path=folder / f"phone-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
