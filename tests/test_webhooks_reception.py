"""How any adapter answers requests: what is let in, what 200 promises, what is logged."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import anyio
import msgspec
import pytest

from insim_async.errors import ConfigurationError
from insim_async.webhooks import (
    CallEvent,
    DeliveryStatus,
    Event,
    GiveUp,
    IncomingSms,
    RetryLater,
    WebhookRouter,
    WebhookStatistics,
    _reception,
    build_webhook,
)
from insim_async.webhooks._reception import SELFTEST_FIELD, Reception, Response
from insim_async.webhooks.asgi import webhook_app
from insim_async.webhooks.events import NAMES
from insim_async.webhooks.inbox import Inbox
from insim_async.webhooks.parsing import MAX_QUERY_BYTES
from tests.faults.leaks import NUMBER, TEXT, USUAL, leaks_of_records, shown_by_record
from tests.test_webhooks_parsing import NO_EVENT, query

SECRET = "Yx1dJ0mFv3qTg7bKz9cRn5wPh2sLu8aE"
NEXT = "Zq8cK2nGw4rUh6aLx0dSm7vQj3tMy9bF"
PATH = f"/insim/{SECRET}"
KINDS = {kind.kind for kind in NAMES if kind is not Event} | {"unknown"}
AGAIN = "webhook incoming_sms: repeated; it came first 0:00:00 before"
SMS = IncomingSms(phone_number=NUMBER, message=TEXT)
QUERY = build_webhook(SMS).encode()
NONE = WebhookStatistics(
    received={}, repeated=0, handled=0, failed=0, ignored=0, invalid=0, turned_away=0
)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class House:
    """A router with one handler that keeps what it gets, and a reception."""

    def __init__(self, inbox: Inbox | None = None) -> None:
        self.router = WebhookRouter(secret=[SECRET, NEXT])
        self.seen: list[Event] = []
        self.router.on(Event)(self.keep)
        self.reception = Reception(self.router, inbox)

    async def keep(self, event: Event) -> None:
        """Handle an event."""
        self.seen.append(event)

    async def get(
        self, query: bytes | str = QUERY, path: str = PATH, method: str = "GET"
    ) -> Response:
        """Send a request."""
        return await self.reception.respond(
            method, path, query.encode() if isinstance(query, str) else query
        )

    def counts(self, **counts: Any) -> None:
        """Check all counts; those that are not named are zero."""
        assert self.router.statistics() == msgspec.structs.replace(NONE, **counts)


async def _items() -> AsyncIterator[int]:
    yield 1
    await anyio.sleep_forever()


async def _looping(event: Event) -> None:
    async for item in _items():
        assert item


async def _managing(event: Event) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)


async def _collecting(event: Event) -> None:
    assert [item async for item in _items()]


@functools.wraps(_looping)
async def _decorated(event: Event) -> None:
    await _looping(event)


class _Called:
    async def __call__(self, event: Event) -> None:
        await _looping(event)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with closing(Inbox.open(tmp_path / "inbox.sqlite")) as inbox:
        yield inbox


@pytest.fixture(autouse=True)
def _no_leak(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that is logged shows a person's number or text above DEBUG, nor a secret."""
    caplog.set_level(logging.DEBUG, logger="insim_async")
    yield
    records = caplog.get_records("call")
    assert leaks_of_records(records) == []
    shown = " ".join(map(shown_by_record, records))
    assert (SECRET in shown, NEXT in shown) == (False, False)


def facts_of(records: list[logging.LogRecord]) -> list[tuple[str, dict[str, Any]]]:
    """Return the words and the extra facts of each record at INFO."""
    return [
        (
            record.getMessage(),
            {
                name: value
                for name, value in vars(record).items()
                if name not in {*USUAL, "message"}
            },
        )
        for record in records
        if record.levelno == logging.INFO
    ]


def fact(event: Event, result: str) -> tuple[str, dict[str, Any]]:
    """Return what is to be said about an event."""
    facts = {"event_kind": event.kind, "event_key": event.key, "result": result}
    return f"webhook {event.kind}: {result}", facts


class TestSecret:
    @pytest.mark.parametrize(
        "path",
        [
            PATH,
            f"/{SECRET}",
            SECRET,
            f"{PATH}/",
            f"{PATH}///",
            f"//insim//{SECRET}",
            f"/insim/{NEXT}",
            f"/a/b/c/{NEXT}/",
        ],
    )
    async def test_is_the_last_part_of_the_path(self, house: House, path: str) -> None:
        """As adapters give it: decoded."""
        assert (await house.get(path=path)).status == 200
        assert house.seen == [SMS]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
    @pytest.mark.parametrize(
        "path",
        [
            "",
            "/",
            "//",
            "/insim",
            "/insim/",
            "/insim/wrong",
            f"/insim/{SECRET[:-1]}",
            f"/insim/{SECRET[1:]}",
            f"/insim/{SECRET[0]}",
            f"/insim/{SECRET}x",
            f"/insim/{SECRET} ",
            f"/insim/{SECRET}\0",
            f"/insim/{SECRET}{NEXT}",
            f"/insim/{SECRET},{NEXT}",
            f"/insim/{SECRET.lower()}",
            f"/insim/{SECRET.swapcase()}",
            f"/insim/%59{SECRET[1:]}",
            f"/insim/{SECRET}%2F",
            f"/insim/{SECRET}é",
            "/insim/é",
            "/insim/\udcff",
            "/insim/😀",
            f"/{SECRET}/insim",
            f"/{SECRET}/..",
            f"/insim/{SECRET};a=b",
            f"/insim\\{SECRET}",
            "/" + "x" * 1_000_000,
        ],
    )
    async def test_that_is_wrong_is_answered_alike_whatever_is_wrong(
        self, house: House, caplog: pytest.LogCaptureFixture, path: str, method: str
    ) -> None:
        """And nothing is said about it."""
        answer = await house.get(f"secret={SECRET}&{QUERY.decode()}", path, method)
        assert answer == Response(404, b"not found\n")
        assert caplog.records == []
        house.counts(turned_away=1)


class TestMethod:
    @pytest.mark.parametrize("query", [QUERY, b"", b"message=nothing"])
    async def test_head_handles_nothing(self, house: House, query: bytes) -> None:
        assert (await house.get(query, method="HEAD")).status == 200
        assert house.seen == []
        house.counts(turned_away=1)

    @pytest.mark.parametrize(
        "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", ""]
    )
    async def test_others_are_told_which_is_right(self, house: House, method: str) -> None:
        answer = await house.get(method=method)
        assert (answer.status, dict(answer.headers)["allow"]) == (405, "GET, HEAD")
        assert house.seen == []
        house.counts(turned_away=1)


MANY = "&".join(f"p{n}=%7Bx" for n in range(199))
SOME = {"title": "incoming_sms", "from": NUMBER, "message": TEXT}


class TestEvent:
    @pytest.mark.parametrize(
        "around", ["{}", "a=1&b&=&{}&c=3", f"{MANY}&{{}}", "token=t?{}", "message2=%7Bx&{}"]
    )
    async def test_is_found_among_what_else_was_sent(self, house: House, around: str) -> None:
        assert (await house.get(around.replace("{}", QUERY.decode()))).status == 200
        assert house.seen == [SMS]
        house.counts(received={"incoming_sms": 1}, handled=1)

    @pytest.mark.parametrize(
        ("payload", "name", "kind"),
        [
            (SOME | {"title": "fax"}, "message", "unknown"),
            (SOME | {"new": {"deep": [1, None, 2.5]}, "from2": NUMBER}, "message", "incoming_sms"),
            ({"title": "incoming_sms"}, "message", "incoming_sms"),
            ({"title": "clicked link", "link": None}, "clics", "link_click"),
            ({"title": "missed_call", "duration": "long", "call_time": "soon"}, "calls", "call"),
            ({"status": "read", "id_sms_api": 7}, "status", "delivery_status"),
            ({"status": "", "date_status": "soon"}, "status", "unknown"),
            ({"title": ["incoming_sms"]}, "news", "unknown"),
            ({"a": 1}, "news", "unknown"),
        ],
    )
    async def test_is_one_though_it_is_new_or_not_whole(
        self, house: House, payload: dict[str, Any], name: str, kind: str
    ) -> None:
        assert (await house.get(query(payload, name))).status == 200
        assert [(event.kind, event.raw) for event in house.seen] == [(kind, payload)]
        house.counts(received={kind: 1}, handled=1)

    @pytest.mark.parametrize("raw", NO_EVENT.values(), ids=NO_EVENT)
    async def test_that_is_none_is_answered_400_without_an_inbox(
        self, house: House, caplog: pytest.LogCaptureFixture, raw: str
    ) -> None:
        answer = await house.get(raw.encode("utf-8", "surrogatepass"))
        assert answer == Response(400, b"no event of inSIM\n")
        assert [(record.levelname, record.getMessage()[:18]) for record in caplog.records] == [
            ("WARNING", "webhook not read: ")
        ]
        assert "secret" not in caplog.records[0].getMessage()
        assert house.seen == []
        house.counts(invalid=1)

    async def test_is_told_apart_from_none_by_its_kind(self, house: House) -> None:
        for event in (SMS, CallEvent(direction="missed"), SMS, DeliveryStatus(status="sent")):
            await house.get(build_webhook(event))
        await house.get("")
        await house.get(path="/")
        house.counts(
            received={"incoming_sms": 2, "call": 1, "delivery_status": 1},
            handled=4,
            invalid=1,
            turned_away=1,
        )


class TestHandlers:
    async def test_are_done_before_the_answer(self, house: House) -> None:
        done: list[str] = []

        @house.router.on(IncomingSms)
        async def slow(event: IncomingSms) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            done.append(event.message)

        assert await house.get() == Response(200, b"ok\n")
        assert done == [TEXT]

    async def test_that_raise_make_it_500(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All run, and each failure is logged once."""

        async def careless(event: Event) -> None:
            raise ValueError(str(event.raw))

        house.router.on(Event)(careless)
        house.router.on(Event)(careless)
        house.router.on(Event)(house.keep)
        assert await house.get() == Response(500, b"not handled\n")
        assert house.seen == [SMS, SMS]
        house.counts(received={"incoming_sms": 1}, failed=1)
        assert [record.levelname for record in caplog.records] == [
            "ERROR",
            "DEBUG",
            "ERROR",
            "DEBUG",
            "INFO",
        ]
        assert facts_of(caplog.records) == [fact(SMS, "failed")]

    @BACKENDS
    def test_that_hang_are_cut_off(
        self,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        backend: str,
    ) -> None:
        """Those after them do not run; all see the event again."""
        monkeypatch.setattr(_reception, "HANDLER_TIMEOUT", 0.01)

        async def scenario() -> None:
            house = House()

            @house.router.on(Event)
            async def patient(event: Event) -> None:
                await anyio.sleep_forever()

            house.router.on(Event)(house.keep)
            assert await house.get() == Response(500, b"not handled\n")
            assert house.seen == [SMS]
            house.counts(received={"incoming_sms": 1}, failed=1)

        anyio.run(scenario, backend=backend)
        assert [
            record.getMessage() for record in caplog.records if record.levelno == logging.ERROR
        ] == ["webhook incoming_sms: not handled within 0.01 s"]
        assert facts_of(caplog.records) == [fact(SMS, "failed")]

    @pytest.mark.parametrize(
        "hanging",
        [
            _looping,
            _managing,
            _collecting,
            _decorated,
            functools.partial(_looping),
            _Called(),
            _Called().__call__,
            AsyncMock(side_effect=_looping),
        ],
    )
    async def test_that_hang_are_cut_off_however_they_are_written(
        self, house: House, monkeypatch: pytest.MonkeyPatch, hanging: Any
    ) -> None:
        """Each waits without the word "await" of its own, or behind something else."""
        monkeypatch.setattr(_reception, "HANDLER_TIMEOUT", 0.01)
        house.router.on(Event)(hanging)
        assert (await house.get()).status == 500
        house.counts(received={"incoming_sms": 1}, failed=1)

    async def test_that_never_wait_are_under_the_same_limit(self, house: House) -> None:
        deadlines: list[float] = []

        @house.router.on(Event)
        async def look(event: Event) -> None:
            deadlines.append(anyio.current_effective_deadline())

        before = anyio.current_time()
        assert (await house.get()).status == 200
        (deadline,) = deadlines
        assert before + 4.0 <= deadline <= anyio.current_time() + 4.0

    def test_have_four_of_the_five_seconds_that_insim_waits(self) -> None:
        assert _reception.HANDLER_TIMEOUT == 4.0

    @BACKENDS
    @pytest.mark.parametrize(
        ("ending", "status"), [(None, 200), (ValueError(TEXT), 500)], ids=["returns", "raises"]
    )
    def test_that_end_though_they_were_cut_off_are_believed(
        self, monkeypatch: pytest.MonkeyPatch, backend: str, ending: Exception | None, status: int
    ) -> None:
        monkeypatch.setattr(_reception, "HANDLER_TIMEOUT", 0.01)

        async def scenario() -> None:
            house = House()

            @house.router.on(Event)
            async def stubborn(event: Event) -> None:
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    if ending:
                        raise ending from None

            assert (await house.get()).status == status
            house.counts(
                received={"incoming_sms": 1}, handled=int(status == 200), failed=int(status == 500)
            )

        anyio.run(scenario, backend=backend)

    @pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
    async def test_that_are_interrupted_are_not_answered(
        self, house: House, caplog: pytest.LogCaptureFixture, error: type[BaseException]
    ) -> None:
        """The exception is the server's: it ends the task, or the program."""

        @house.router.on(Event)
        async def interrupted(event: Event) -> None:
            raise error

        with pytest.raises(error):
            await house.get()
        house.counts(received={"incoming_sms": 1}, failed=1)
        assert facts_of(caplog.records) == [fact(SMS, "failed")]

    async def test_and_the_cancellation_from_outside_agree(self, house: House) -> None:
        """Patience that ends in the very moment does not swallow it."""
        begun = asyncio.Event()

        @house.router.on(Event)
        async def hang(event: Event) -> None:
            begun.set()
            await anyio.sleep_forever()

        task = asyncio.create_task(house.get())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        house.counts(received={"incoming_sms": 1}, failed=1)


NASTY = "a\r\nERROR forged \x1b[31m\u202e\u2028\x00\x85" + TEXT


class TestRecord:
    async def test_is_one_for_each_event(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        await house.get()
        assert facts_of(caplog.records) == [fact(SMS, "handled")]
        assert len(caplog.records) == 1

    @pytest.mark.parametrize(
        "payload",
        [
            {
                "title": "incoming_sms",
                "from": NASTY,
                "message": NASTY,
                "date": NASTY,
                "device_identification": NASTY,
            },
            {"title": NASTY, NASTY: {NASTY: NASTY}},
            {"status": NASTY, "date_status": NASTY, "id_sms_api": NASTY},
            {"title": "clicked link", "link": NASTY, "id_sms_api": NASTY},
        ],
    )
    @pytest.mark.parametrize("name", ["message", "a\r\nb", NASTY])
    async def test_is_one_line_of_plain_characters_whatever_the_text_is(
        self, house: House, caplog: pytest.LogCaptureFixture, payload: dict[str, Any], name: str
    ) -> None:
        """Failed, handled, or not even an event."""
        house.router.on(Event)(_raise)
        raw = query(payload, name)
        for came in (raw, f"{raw}&{raw}", f"x={NASTY}", raw + "x", "message={" + NASTY):
            await house.get(came)
        lines = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
        assert len(lines) == 6
        assert [line for line in lines if not (line.isascii() and line.isprintable())] == []

    async def test_costs_nothing_where_nobody_reads_it(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, logger="insim_async")
        assert (await house.get()).status == 200
        assert caplog.records == []


async def _raise(event: Event) -> None:
    raise ValueError(str(event.raw))


class TestProbe:
    @pytest.mark.parametrize("value", ["nonce", "", None, 0, {"a": 1}])
    @pytest.mark.parametrize("kept", [False, True])
    async def test_is_answered_with_what_was_read_and_shown_to_nobody(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture, value: object, kept: bool
    ) -> None:
        house = House(inbox if kept else None)
        event = IncomingSms(
            message=TEXT, raw_json=msgspec.json.encode({**SMS.raw, SELFTEST_FIELD: value})
        )
        raw = build_webhook(event)
        answer = await house.get(raw)
        assert (answer.status, answer.headers) == (200, (("content-type", "application/json"),))
        assert json.loads(answer.body) == {
            "kind": "incoming_sms",
            "key": event.key,
            "query_bytes": len(raw),
            "handlers": sorted({*KINDS, "*"}),
            "inbox": kept,
            **({"workers": 0, "worked": [], "oldest_waiting": 0.0} if kept else {}),
        }
        assert (house.seen, caplog.records) == ([], [])
        house.counts()
        assert await inbox.counts() == type(await inbox.counts())()

    async def test_is_a_field_of_the_payload_itself(self, house: House) -> None:
        """What a person writes does not make one."""
        for payload in (
            SOME | {"message": f'","{SELFTEST_FIELD}":"'},
            SOME | {"a": {SELFTEST_FIELD: "x"}},
            SOME | {SELFTEST_FIELD.upper(): "x"},
        ):
            await house.get(query(payload))
        await house.get(f"{SELFTEST_FIELD}=x&" + query(SOME))
        assert len(house.seen) == 4

    async def test_without_the_secret_is_turned_away(self, house: House) -> None:
        assert (await house.get(query(SOME | {SELFTEST_FIELD: "x"}), "/insim/wrong")).status == 404


class TestInbox:
    async def test_has_the_event_when_200_is_answered(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Handlers get it from a worker, not within the request."""
        house = House(inbox)
        assert await house.get() == Response(200, b"ok\n")
        assert (house.seen, (await inbox.counts()).waiting) == ([], 1)
        house.counts(received={"incoming_sms": 1})
        assert facts_of(caplog.records) == [fact(SMS, "stored")]

    async def test_has_an_event_once_however_often_it_comes(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        house = House(inbox)
        handled = asyncio.Event()

        @house.router.on(Event)
        async def notice(event: Event) -> None:
            handled.set()

        twin = query(dict(reversed(list(SMS.raw.items()))), times=2)
        answers = await asyncio.gather(*(house.get(raw) for raw in (QUERY, twin) * 5))
        assert {answer.status for answer in answers} == {200}
        house.counts(received={"incoming_sms": 10}, repeated=9)
        told = Counter(words for words, _ in facts_of(caplog.records))
        assert told == {"webhook incoming_sms: stored": 1, AGAIN: 9}
        async with inbox.worker(house.router):
            await handled.wait()
        assert (house.seen, (await inbox.counts()).done) == ([SMS], 1)
        house.counts(received={"incoming_sms": 10}, repeated=9, handled=1)

    @pytest.mark.parametrize(
        "raw", [raw for raw in NO_EVENT.values() if 0 < len(raw) <= MAX_QUERY_BYTES]
    )
    async def test_sets_aside_what_is_no_event(
        self, inbox: Inbox, caplog: pytest.LogCaptureFixture, raw: str
    ) -> None:
        """As it came; the same again is the same."""
        house = House(inbox)
        came = raw.encode("utf-8", "surrogatepass")
        assert [await house.get(came), await house.get(came)] == [Response(200, b"ok\n")] * 2
        (aside,) = await inbox.set_aside()
        assert (aside.query, aside.kind) == (came, "unreadable")
        assert caplog.records[0].getMessage() == f"webhook not read: {aside.reason}"
        house.counts(invalid=2)

    @pytest.mark.parametrize(
        ("raw", "status"),
        [(b"", 400), (b"x" * MAX_QUERY_BYTES, 200), (b"x" * (MAX_QUERY_BYTES + 1), 400)],
    )
    async def test_keeps_nothing_that_is_empty_or_too_long(
        self, inbox: Inbox, raw: bytes, status: int
    ) -> None:
        house = House(inbox)
        assert (await house.get(raw)).status == status
        assert len(await inbox.set_aside()) == int(status == 200)

    @pytest.mark.parametrize(
        ("raw", "counts"),
        [(QUERY, {"received": {"incoming_sms": 1}}), (b"message=secret", {"invalid": 1})],
    )
    async def test_that_cannot_be_written_is_never_answered_200(
        self,
        tmp_path: Path,
        inbox: Inbox,
        caplog: pytest.LogCaptureFixture,
        raw: bytes,
        counts: dict[str, Any],
    ) -> None:
        house = House(inbox)
        (tmp_path / "inbox.sqlite").unlink()
        assert await house.get(raw) == Response(503, b"not stored\n")
        house.counts(**counts)
        (error,) = [
            record.getMessage() for record in caplog.records if record.levelno == logging.ERROR
        ]
        assert "not stored: " in error
        assert facts_of(caplog.records) == ([fact(SMS, "not_stored")] if raw == QUERY else [])

    @pytest.mark.parametrize("raw", [QUERY, b"message=secret"])
    async def test_that_is_closed_is_a_mistake_in_the_program(
        self, inbox: Inbox, raw: bytes
    ) -> None:
        """The server answers 500."""
        house = House(inbox)
        inbox.close()
        with pytest.raises(ConfigurationError, match="closed"):
            await house.get(raw)

    @pytest.mark.parametrize(
        ("method", "path"), [("HEAD", PATH), ("POST", PATH), ("GET", "/insim/wrong")]
    )
    async def test_gets_nothing_that_was_turned_away(
        self, inbox: Inbox, method: str, path: str
    ) -> None:
        house = House(inbox)
        for raw in (QUERY, b"message=secret"):
            await house.get(raw, path, method)
        assert await inbox.counts() == type(await inbox.counts())()
        house.counts(turned_away=2)

    def test_serves_trio_as_well(self, inbox: Inbox) -> None:
        async def scenario() -> None:
            house = House(inbox)
            for raw in (QUERY, QUERY, b"message=secret"):
                assert (await house.get(raw)).status == 200
            assert ((await inbox.counts()).waiting, (await inbox.counts()).set_aside) == (1, 1)
            house.counts(received={"incoming_sms": 2}, repeated=1, invalid=1)

        anyio.run(scenario, backend="trio")


class TestWithoutAnInbox:
    @pytest.mark.parametrize(
        ("raised", "status", "result"),
        [
            ([RetryLater(after=29.2)], 503, "later"),
            ([GiveUp("no such customer")], 200, "given_up"),
            ([GiveUp(), RetryLater(after=30)], 503, "later"),
            ([GiveUp(), ValueError()], 500, "failed"),
        ],
    )
    async def test_handlers_choose_the_answer(
        self,
        house: House,
        caplog: pytest.LogCaptureFixture,
        raised: list[Exception],
        status: int,
        result: str,
    ) -> None:
        for error in raised:
            house.router.on(Event)(AsyncMock(side_effect=error))
        answer = await house.get()
        assert (answer.status, dict(answer.headers).get("retry-after")) == (
            status,
            "30" if status == 503 else None,
        )
        assert caplog.messages[-1] == f"webhook incoming_sms: {result}"
        house.counts(received={"incoming_sms": 1}, failed=1)

    async def test_an_event_without_a_handler_is_ignored(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is acknowledged all the same: inSIM would send it again and again."""
        caplog.set_level(logging.INFO)
        router = WebhookRouter(secret=SECRET)
        router.on(CallEvent)(AsyncMock())
        for _ in range(2):
            answer = await Reception(router, None).respond("GET", PATH, QUERY)
            assert answer == Response(200, b"ok\n")
        assert router.statistics().ignored == 2
        assert caplog.messages == [
            "webhook incoming_sms: ignored, since no handler is for it (said once)",
            *["webhook incoming_sms: ignored"] * 2,
        ]


class TestMaking:
    @pytest.mark.parametrize(
        ("router", "more", "words"),
        [
            (SECRET, {}, "router: expected a WebhookRouter, got str"),
            (WebhookRouter(secret=SECRET), {"inbox": "x.db"}, "inbox: expected what .*, got str"),
            (WebhookRouter(), {}, "secret: the router has none; give it here"),
            (WebhookRouter(), {"secret": None}, "is INSIM_WEBHOOK_SECRET set"),
            (WebhookRouter(secret=SECRET), {"secret": NEXT}, "the router has one; give it once"),
        ],
    )
    def test_fails_where_an_argument_is_something_else(
        self, router: Any, more: dict[str, Any], words: str
    ) -> None:
        for make in (
            webhook_app,
            lambda router, inbox=None, **more: Reception(router, inbox, **more),
        ):
            with pytest.raises(ConfigurationError, match=words):
                make(router, **more)

    async def test_takes_the_secret_beside_a_router_without(self) -> None:
        router = WebhookRouter()
        router.on(Event)(AsyncMock())
        reception = Reception(router, None, [SECRET, NEXT])
        statuses = [
            (await reception.respond("GET", f"/insim/{secret}", QUERY)).status
            for secret in (SECRET, NEXT, "other")
        ]
        assert statuses == [200, 200, 404]
