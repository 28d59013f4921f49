"""The sandbox's page as a developer uses it, while an app sends, answers, and fails."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from insim_async import AsyncInSim, Contact, Sms
from insim_async.sandbox import Sandbox
from insim_async.webhooks import IncomingSms, WebhookRouter
from insim_async.webhooks.asgi import webhook_app
from tests.browser.looking import AXE, LIGHT, LOOKS, NARROW, Look, Opened, too_wide
from tests.browser.looking import opened as opened
from tests.browser.scene import HELENE, on_a_socket, served_app, shown, workshop

LOGIN = ("demo@example.com", "demo-key")
NUMBER = "+33639980001"
SECRET = "s3cr3t-that-is-long-enough-for-it"
ATTACK = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\'"&{{7*7}}'


class Phone:
    """A sandbox on a socket, and what happens to it from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def act(self, name: str, **given: object) -> Any:
        return self._post(f"/_sandbox/acts/{name}", given)

    def set(self, **given: object) -> Any:
        return self._post("/_sandbox/settings", given)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/_sandbox/state").json()
        return found

    def ask(self, call: str, number: str = "", **given: object) -> httpx.Response:
        """Call the API as no client of ours would."""
        header = {"login": LOGIN[0], "accessKey": LOGIN[1], "phone_number": number}
        return httpx.post(f"{self.url}/api/v1/{call}", json={"header": header, **given})

    def send(self, *messages: Sms, contacts: tuple[Contact, ...] = ()) -> None:
        """Let an app send; in a thread of its own, since the browser's loop runs in this one."""

        async def run() -> None:
            async with AsyncInSim(*LOGIN, base_url=self.url) as insim:
                await insim.add_contacts(contacts)
                await insim.send_many(messages)

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        thread.join()

    def _post(self, path: str, given: object) -> Any:
        answer = httpx.post(f"{self.url}{path}", json=given, auth=LOGIN)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def phone() -> Iterator[Phone]:
    sandbox = Sandbox(sent_after=0.05, received_after=0.05)
    with on_a_socket(sandbox) as url:
        yield Phone(url)


@pytest.fixture
def app(phone: Phone) -> Iterator[str]:
    """An app that answers each SMS by an SMS; the URL of its callback."""
    router = WebhookRouter(secret=SECRET)

    @router.on(IncomingSms)
    async def answer(event: IncomingSms) -> None:
        async with AsyncInSim(*LOGIN, base_url=phone.url) as insim:
            await insim.send_sms(event.phone_number, f"Bien reçu : {event.message}")

    with served_app(webhook_app(router)) as url:
        phone.set(callback=f"{url}/{SECRET}")
        yield url


def bubbles(page: Page) -> Any:
    return page.locator("#talk .bubble")


def rows(page: Page) -> Any:
    return page.locator("#convs .conv")


def barriers(page: Page) -> list[str]:
    """Return what axe finds serious; it comes in by the debugger, since the policy bars it."""
    page.evaluate(AXE.read_text("utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]


class TestLive:
    def test_an_empty_phone_says_how_to_send(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        expect(page.get_by_text("This phone waits for its first SMS")).to_be_visible()
        expect(page.locator("#live")).to_have_text("Live")
        expect(page.locator("#env")).to_contain_text(f"export INSIM_BASE_URL={phone.url}")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("[data-copy=env]").click()
        expect(page.locator("[data-copy=env]")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()").startswith("export INSIM_BASE_URL")

    def test_a_bulk_send_shows_while_it_arrives(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        expect(page.locator("#live")).to_have_text("Live")
        phone.send(*(Sms(f"+3363998{place:04}", f"Bonjour {place}") for place in range(500)))
        expect(page.locator("#count-messages")).to_have_text("500")
        expect(page.locator("#how-many")).to_have_text("500 conversations")
        expect(page).to_have_title(re.compile(r"\(\d{3}\) inSIM sandbox"))
        assert rows(page).count() < 50
        expect(page.locator("#convs li").first).to_have_attribute("aria-setsize", "500")
        expect(page.locator("#convs .ok").first).to_be_visible(timeout=20_000)

    def test_a_reply_reaches_the_app_and_its_answer_comes_back(
        self, phone: Phone, app: str, opened: Opened
    ) -> None:
        phone.send(Sms(NUMBER, "Répondez OUI"), contacts=(Contact(NUMBER, first_name="Hélène"),))
        page = opened(phone.url, LIGHT)
        expect(page.locator("#goes")).to_have_text(
            "You are Hélène here. Your app gets an incoming SMS."
        )
        page.get_by_placeholder("Reply as Hélène…").fill("OUI, 100% sûre 🙂")
        page.keyboard.press("Enter")
        expect(bubbles(page).last).to_have_text("Your app: Bien reçu : OUI, 100% sûre 🙂")
        expect(page.locator("#talk .heard")).to_have_text("your app: 200")
        expect(page.locator("#reply")).to_have_value("")
        page.locator("#talk .heard").click()
        expect(page.locator(".hook[open] pre")).to_contain_text('"message": "OUI, 100% sûre 🙂"')
        expect(page.locator(".hook[open] .tries")).to_contain_text("200")

    def test_a_click_on_the_link_is_noted(self, phone: Phone, app: str, opened: Opened) -> None:
        phone.send(Sms(NUMBER, "Votre facture : [Lien_Tracking]", url=f"{app}/invoice"))
        page = opened(phone.url, LIGHT)
        link = bubbles(page).locator("a")
        expect(link).to_have_text(re.compile(r"https://arsms\.co/\w+"))
        with page.context.expect_page() as tab:
            link.click()
        tab.value.wait_for_url(f"{app}/invoice")
        expect(page.locator("#talk")).to_contain_text("Clicked")
        page.get_by_role("button", name="Click link").first.click()
        expect(page.locator("#talk")).to_contain_text("2 times")
        expect(page.locator("#hooks")).to_contain_text("Link click")

    def test_who_reads_further_up_is_not_disturbed(self, phone: Phone, opened: Opened) -> None:
        phone.send(*(Sms(NUMBER, f"Message {place}") for place in range(100)))
        page = opened(phone.url, LIGHT)
        expect(bubbles(page).last).to_be_in_viewport()
        page.locator("#scroller").evaluate("it => it.scrollTop = 600")
        page.wait_for_timeout(50)
        before = page.locator("#scroller").evaluate("it => it.scrollTop")
        phone.act("reply", phone_number=NUMBER, message="Merci")
        expect(page.locator("#jump")).to_have_text("1 new ↓")
        assert page.locator("#scroller").evaluate("it => it.scrollTop") == before
        page.locator("#jump").click()
        expect(bubbles(page).last).to_be_in_viewport()
        expect(page.locator("#jump")).to_be_hidden()

    def test_what_is_not_open_is_unread(self, phone: Phone, opened: Opened) -> None:
        phone.send(Sms(NUMBER, "Un"))
        page = opened(phone.url, LIGHT)
        expect(bubbles(page)).to_have_count(1)
        phone.act("reply", phone_number="+33639980002", message="STOP")
        expect(page).to_have_title("(1) inSIM sandbox")
        expect(page.locator("#how-unread")).to_have_text("1 unread")
        expect(rows(page).first).to_contain_text("+33 6 39 98 00 02")
        rows(page).first.click()
        expect(page).to_have_title("inSIM sandbox")
        page.go_back()
        expect(page.locator("#who")).to_have_text("+33 6 39 98 00 01")


class TestActs:
    def test_a_fault_is_ordered_and_happens(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        page.get_by_role("tab", name="Faults").click()
        page.get_by_label("Server error").check()
        expect(page.locator("#says")).to_have_text(
            "The next send is answered 503; nothing is sent."
        )
        page.get_by_label("How often").fill("0")
        page.get_by_role("button", name="Order this fault").click()
        expect(page.locator("#says")).to_have_text("A number above 0, please")
        page.get_by_label("How often").fill("2")
        page.get_by_role("button", name="Order this fault").click()
        expect(page.locator("#queue")).to_contain_text("503next 2 sends")
        expect(page.locator("#armed")).to_have_text("1 fault ordered")
        messages: list[object] = [{"phone_number": NUMBER, "message": "Bonjour"}]
        assert phone.ask("sendsms", messages=messages).status_code == 503
        expect(page.locator("#queue")).to_contain_text("503next send")
        page.get_by_role("button", name="Cancel 503").click()
        expect(page.locator("#armed")).to_be_hidden()
        page.get_by_role("button", name="Webhooks to your app").click()
        page.get_by_role("radio", name="Twice", exact=False).first.check()
        page.get_by_label("How often").fill("1")
        page.get_by_role("button", name="Order this fault").click()
        expect(page.locator("#queue")).to_contain_text("Twicenext webhook of any kind")

    def test_random_faults_stay_in_sight(self, phone: Phone, opened: Opened) -> None:
        page = opened(f"{phone.url}/#//faults", LIGHT)
        page.get_by_label("Seed").fill("7")
        page.keyboard.press("Enter")
        page.get_by_role("switch", name="Random faults").check()
        expect(page.locator("#armed")).to_have_text("random faults")
        settings = phone.state()["settings"]
        assert (settings["fault_rate"], settings["seed"]) == (0.1, 7)
        page.get_by_role("switch", name="Random faults").uncheck()
        expect(page.locator("#armed")).to_be_hidden()

    def test_a_call_rings_and_is_answered(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        phone.ask("clicTocall", NUMBER)
        expect(page.locator(".ringing")).to_contain_text("the phone rings")
        page.get_by_role("button", name="Answer").click()
        expect(page.locator("#talk .call")).to_contain_text("1 min 0 s")
        page.locator("#act-note").click()
        expect(page.get_by_label("Note on the call")).to_be_focused()
        page.keyboard.type("La rappeler")
        page.keyboard.press("Enter")
        expect(page.locator("#talk .note")).to_have_text("Call note: La rappeler")
        page.locator("#act-call").click()
        page.get_by_label("Minutes and seconds").fill("soon")
        page.keyboard.press("Enter")
        expect(page.locator("#pop-call .error")).to_have_text("Minutes and seconds, such as 2:14")
        page.keyboard.press("Escape")
        expect(page.locator("#act-call")).to_be_focused()
        page.get_by_role("button", name="Miss a call").click()
        expect(rows(page).first).to_contain_text("Missed call")

    def test_an_act_that_is_impossible_says_why(self, phone: Phone, opened: Opened) -> None:
        phone.act("reply", phone_number=NUMBER, message="Bonjour")
        page = opened(phone.url, LIGHT)
        for name, why in [
            ("Click link", "No tracked link here"),
            ("Call note", "No call to note"),
            ("Received", "No SMS under way"),
        ]:
            button = page.locator("#acts").get_by_role("button", name=name, exact=True)
            expect(button).to_have_attribute("aria-disabled", "true")
            expect(button).to_have_attribute("title", why)
            button.click(force=True)
        expect(page.get_by_text("no callback URL").first).to_be_visible()
        assert len(phone.state()["webhooks"]) == 1

    def test_an_sms_is_left_undelivered_by_its_menu(self, phone: Phone, opened: Opened) -> None:
        phone.set(sent_after=60)
        phone.send(Sms(NUMBER, "Un", sms_id="one"), Sms(NUMBER, "Deux", sms_id="two"))
        page = opened(phone.url, LIGHT)
        expect(page.locator("#talk .wait")).to_have_count(2)
        page.locator("#talk .sms").first.hover()
        page.locator("#talk .menu summary").first.click()
        page.get_by_role("button", name="Leave undelivered").click()
        expect(page.locator("#talk .sms").first).to_contain_text("Left undelivered")
        expect(page.locator("#talk .sms").last).to_contain_text("Pending")

    def test_offline_stays_in_sight(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        phone.ask("clicTocall", NUMBER)
        expect(page.locator(".ringing")).to_be_visible()
        page.get_by_role("tab", name="Phone").click()
        page.get_by_role("switch", name="Phone online").uncheck()
        expect(page.locator("#offline")).to_be_visible()
        expect(page.locator("#talk")).to_contain_text("Click-to-call failed")
        page.get_by_role("switch", name="Phone online").check()
        expect(page.locator("#offline")).to_be_hidden()

    def test_a_text_comes_from_a_new_number(self, phone: Phone, opened: Opened) -> None:
        page = opened(phone.url, LIGHT)
        page.get_by_role("button", name="Text in from a new number").click()
        page.get_by_role("textbox", name="Number", exact=True).fill("+33 6 39 98 00 09")
        page.get_by_label("Text", exact=True).fill("Bonjour")
        page.locator("#pop-new .main").click()
        expect(page.locator("#who")).to_have_text("+33 6 39 98 00 09")
        expect(bubbles(page)).to_have_count(1)

    def test_a_callback_url_is_checked_and_tried(
        self, phone: Phone, app: str, opened: Opened
    ) -> None:
        page = opened(f"{phone.url}/#//phone", LIGHT)
        url = page.get_by_role("textbox", name="Callback URL")
        expect(url).to_have_value(f"{app}/{SECRET}")
        page.get_by_role("button", name="Test").click()
        expect(page.locator("#urls")).to_contain_text(re.compile(r"200 in \d+ ms, at \d\d:"))
        for bad, why in [("127.0.0.1:8000/x", "http://"), (f"{app}/?token=x", "doubled")]:
            url.fill(bad)
            url.press("Enter")
            expect(page.locator("#urls .error")).to_contain_text(why)
            expect(url).to_have_attribute("aria-invalid", "true")
        url.fill("")
        url.press("Enter")
        expect(page.locator("#urls .error")).to_be_hidden()
        assert phone.state()["settings"]["callback"] == ""

    def test_each_kind_may_have_a_url_of_its_own(
        self, phone: Phone, app: str, opened: Opened
    ) -> None:
        page = opened(f"{phone.url}/#//phone", LIGHT)
        page.get_by_role("button", name="One for each kind").click()
        page.get_by_role("textbox", name="Calls").fill(f"{app}/calls")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Test").nth(1).click()
        expect(page.locator("#urls")).to_contain_text(re.compile(r"40\d in \d+ ms, at"))
        assert phone.state()["settings"]["callbacks"] == {"call": f"{app}/calls"}
        page.get_by_role("button", name="One for all").click()
        expect(page.get_by_role("textbox", name="Callback URL")).to_have_value(f"{app}/{SECRET}")
        assert phone.state()["settings"]["callbacks"] == {}

    def test_all_is_forgotten_only_when_said_twice(self, phone: Phone, opened: Opened) -> None:
        phone.send(Sms(NUMBER, "Un"))
        page = opened(f"{phone.url}/#//phone", LIGHT)
        page.get_by_role("button", name="Forget everything").click()
        expect(page.get_by_text("Forget 1 message?")).to_be_visible()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Forget everything").click()
        page.get_by_role("button", name="Forget", exact=True).click()
        expect(page.locator("#count-messages")).to_have_text("0")
        expect(page.get_by_text("No conversations")).to_be_visible()


def test_the_stream_is_lost_and_comes_back(chromium: Browser) -> None:
    """What was being typed stays, and nothing can be done meanwhile."""
    sandbox = Sandbox()
    page = chromium.new_context().new_page()

    def serve(port: int = 0) -> AbstractContextManager[str]:
        return on_a_socket(sandbox, port)

    with serve() as url:
        Phone(url).act("reply", phone_number=NUMBER, message="Bonjour")
        page.goto(url)
        page.locator("#reply").fill("Je voulais dire")
    expect(page.locator("#live")).to_have_text("Reconnecting…", timeout=10_000)
    expect(page.locator("#lost")).to_contain_text("The sandbox does not answer. What you see is")
    expect(page.locator("#act-miss")).to_have_attribute("aria-disabled", "true")
    page.locator("#reply").press("Enter")
    expect(page.locator("#goes")).to_have_text(
        "Not sent: the sandbox does not answer. Your text is still here."
    )
    with serve(int(url.rpartition(":")[2])):
        Phone(url).act("reply", phone_number="+33639980002", message="Meanwhile")
        expect(page.locator("#live")).to_have_text("Live", timeout=10_000)
        expect(page.locator("#reply")).to_have_value("Je voulais dire")
        expect(page.locator("#who")).to_have_text("+33 6 39 98 00 01")
        expect(rows(page)).to_have_count(2)
        page.locator("#reply").press("Enter")
        expect(bubbles(page)).to_have_count(2)
    page.context.close()


def test_strangers_text_stays_text(phone: Phone, opened: Opened) -> None:
    """Through every field that comes from outside; the policy has nothing to stop."""
    entry = {"phone_number": NUMBER, "firstname": ATTACK, "lastname": ATTACK, "email": ATTACK}
    phone.ask("contact", contacts=[entry | {"adress": ATTACK}])
    link = {"url": f"javascript:window.pwned=1//{ATTACK}", "id_sms_api": ATTACK}
    phone.ask("sendsms", messages=[{"phone_number": NUMBER, "message": f"{ATTACK} [link]"} | link])
    phone.ask("sendsms", messages=[{"phone_number": ATTACK, "message": ATTACK}])
    phone.ask("clicTocall", NUMBER)
    phone.act("answer", phone_number=NUMBER)
    phone.act("leave_note", text=ATTACK, phone_number=NUMBER)
    phone.act("reply", phone_number=ATTACK, message=ATTACK)
    phone.act("reply", phone_number=NUMBER, message=ATTACK)
    phone.act("click", phone_number=NUMBER)
    phone.set(callback=f"http://127.0.0.1:1/{ATTACK.replace('?', '').replace('#', '')}")
    phone.act("reply", phone_number=NUMBER, message=ATTACK)
    fault = {"body": ATTACK, "retry_after": ATTACK, "status": 500}
    httpx.post(f"{phone.url}/_sandbox/faults", json=fault, auth=LOGIN).raise_for_status()
    page = opened(f"{phone.url}/", LIGHT)
    expect(bubbles(page).first).to_contain_text("<script>")
    for summary in page.locator(".hook > summary").all():
        summary.click()
    expect(page.locator(".hook[open] pre").first).to_contain_text("<script>")
    page.locator("#search").fill(f"nobody {ATTACK}")
    expect(page.locator("#nobody")).to_contain_text("<script>")
    page.locator("#search").fill("")
    for address in (f"#/{ATTACK}/faults", "#/%zz/phone", f"#/{NUMBER}/{ATTACK}"):
        page.evaluate("address => { location.hash = address }", address)
        expect(page.locator("#live")).to_have_text("Live")
    for row in rows(page).all():
        row.click()
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main script").count() == 0
    for frame in page.locator("#talk a").all():
        assert str(frame.get_attribute("href")).startswith("/l/")


class TestKeys:
    def test_go_through_the_list(self, phone: Phone, opened: Opened) -> None:
        phone.send(*(Sms(f"+336399800{place:02}", f"Message {place}") for place in range(60)))
        page = opened(phone.url, LIGHT)
        expect(page.locator("#how-many")).to_have_text("60 conversations")
        page.locator("#who").click()
        page.keyboard.press("/")
        expect(page.locator("#search")).to_be_focused()
        page.keyboard.type("message 3")
        expect(page.locator("#how-many")).to_have_text("11 conversations")
        page.keyboard.press("Escape")
        expect(page.locator("#how-many")).to_have_text("60 conversations")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        expect(page.locator("#convs :focus")).to_contain_text("+33 6 39 98 00 00")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(page.locator("#who")).to_have_text("+33 6 39 98 00 01")
        expect(page.locator("#convs :focus")).to_be_in_viewport()

    def test_go_between_tabs_and_acts(self, phone: Phone, opened: Opened) -> None:
        phone.act("reply", phone_number=NUMBER, message="Bonjour")
        page = opened(phone.url, LIGHT)
        page.get_by_role("tab", name="Webhooks").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Faults")).to_be_focused()
        expect(page.locator("#order")).to_be_visible()
        page.locator("#act-click").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#act-call")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#pop-call input")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#pop-call")).to_be_hidden()

    def test_narrow_goes_there_and_back(self, phone: Phone, opened: Opened) -> None:
        phone.act("reply", phone_number=NUMBER, message="Bonjour")
        page = opened(phone.url, NARROW)
        rows(page).first.click()
        expect(bubbles(page)).to_be_visible()
        expect(rows(page).first).to_be_hidden()
        page.locator("#its-webhooks").click()
        expect(page.locator("#hooks")).to_contain_text("Incoming SMS")
        page.go_back()
        expect(bubbles(page)).to_be_visible()
        page.get_by_role("link", name="Back to the conversations").click()
        expect(rows(page).first).to_be_visible()


class TestMany:
    def test_numbers_are_listed_by_window(self, chromium: Browser) -> None:
        sandbox = Sandbox()
        for place in range(10_000):
            sandbox.reply(f"+3363998{place:04}", f"Message {place}")
        with on_a_socket(sandbox, calls_back=False) as url:
            page = chromium.new_context().new_page()
            page.goto(url)
            expect(page.locator("#how-many")).to_have_text("10000 conversations", timeout=20_000)
            rows(page).first.focus()
            page.keyboard.press("End")
            expect(page.locator("#convs :focus")).to_contain_text("Message 0")
            assert rows(page).count() < 60
            page.locator("#search").fill("message 9999")
            expect(rows(page)).to_have_count(1)
            page.context.close()

    def test_messages_are_drawn_as_far_as_one_reads(self, chromium: Browser) -> None:
        sandbox = Sandbox()
        for place in range(10_000):
            sandbox.reply(NUMBER, f"Message {place}")
        with on_a_socket(sandbox, calls_back=False) as url:
            page = chromium.new_context().new_page()
            page.goto(url)
            expect(bubbles(page).last).to_contain_text("Message 9999")
            assert bubbles(page).count() == 60
            page.locator("#scroller").evaluate("it => it.scrollTop = 0")
            expect(bubbles(page)).to_have_count(120)
            expect(bubbles(page).nth(60)).to_contain_text("Message 9940")
            assert page.locator("#hooks > li").count() == 60
            page.context.close()


@pytest.mark.parametrize("look", [*LOOKS, Look("dark", 360)], ids=str)
def test_keeps_nobody_out(look: Look, chromium: Browser) -> None:
    with on_a_socket(workshop().sandbox, calls_back=False) as url:
        page = shown(chromium, url, look)
        expect(page.locator("#live")).to_have_text("Live")
        for place in ("", "webhooks", "faults", "phone"):
            address = f"#/%2B{HELENE[1:]}/{place}"
            page.evaluate("address => { location.hash = address }", address)
            for summary in page.locator(".hook > summary").all()[:3] if place else []:
                summary.evaluate("it => it.click()")
            assert (place, too_wide(page), barriers(page)) == (place, 0, [])
        page.context.close()
