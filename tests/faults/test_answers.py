"""What answers mean, and that whatever comes instead of one is survived."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from insim_async import (
    AuthenticationFailed,
    ConfigurationError,
    Contact,
    InSimError,
    OutcomeUnknown,
    Refused,
    Sms,
    SmsReceipt,
    Status,
)

from .bench import HTTPX, HTTPX2, OWN, SOON, TRIO, Bench, Leg, status_of, until
from .gateway import BEHAVE, BODY, CLOSE, HEAD, STALL, TAKE, Listener, Script
from .leaks import NUMBER
from .server import SPELLINGS, TWISTS

OK = "HTTP/1.1 200 OK\r\n"
HTML = "<html><body><h1>Something else</h1></body></html>"
HEADERS = ["Content-Type: text/html"]
ALLOWED_GROWTH = 20 * 1024

# Statuses

UNKNOWN = [500, 501, 502, 503, 504, 520, 522, 524, 599]
ENDINGS: list[tuple[int, type[InSimError]]] = [
    *((status, OutcomeUnknown) for status in UNKNOWN),
    (401, AuthenticationFailed),
    (402, Refused),
    (403, Refused),
    (404, ConfigurationError),
    (405, ConfigurationError),
    (400, Refused),
    (409, Refused),
    (413, Refused),
    (418, Refused),
    (422, Refused),
]


@pytest.mark.parametrize(("status", "error"), ENDINGS)
def test_a_status_has_one_meaning(bench: Bench, status: int, error: type[InSimError]) -> None:
    """One attempt; a 5xx may have been sent, a 4xx was not."""

    async def scenario() -> None:
        said: Script = [["reply", status, HTML, *HEADERS]]
        listener = bench.listen([*(TAKE if status >= 500 else [HEAD, BODY]), *said])
        async with bench.client(listener.url) as insim:
            ending = await bench.send(insim)
            assert type(ending) is error, ending
            assert getattr(ending, "status_code", status) == status
            assert listener.report().requests == 1
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize(("status", "error"), [(500, OutcomeUnknown), (401, AuthenticationFailed)])
def test_contacts_are_added_again_behind_a_5xx_only(
    bench: Bench, status: int, error: type[InSimError]
) -> None:
    """Until the attempts are used up."""

    async def scenario() -> None:
        listener = bench.listen(otherwise=[HEAD, BODY, ["reply", status, HTML]])
        async with bench.client(listener.url) as insim:
            try:
                (result,) = await insim.add_contacts([Contact(NUMBER, last_name="Lovelace")])
            except AuthenticationFailed as raised:
                (result,) = raised.results
            assert type(result.error) is error, result
            assert listener.report().requests == (3 if status == 500 else 1)
            listener.script(otherwise=[HEAD, BODY, ["reply", status, HTML]])
            call = await bench.ending(insim.click_to_call(NUMBER))
            assert type(call) is error, call
            assert listener.report().requests == (4 if status == 500 else 2)
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("leg", [OWN, HTTPX2], ids=str)
def test_a_page_that_repeats_the_request_is_not_repeated(
    bench: Bench, leg: Leg, spelling: str
) -> None:
    """No error and no log shows the key, or a person's number or text."""

    async def scenario() -> None:
        listener = bench.listen()
        async with bench.client(listener.url) as insim:
            for status in (200, 400, 401, 404, 429, 500):
                listener.script(otherwise=[HEAD, BODY, ["echo", status, spelling]])
                ending = await bench.send(insim)
                assert isinstance(ending, InSimError)
                assert "Error" in str(ending)
            await anyio.sleep(SOON.cap)  # what is left of the pause behind the 429
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("following", [False, True], ids=["", "following"])
def test_the_other_host_of_a_redirect_sees_nothing(
    bench: Bench, status: int, following: bool
) -> None:
    """Not even where the user's own client follows redirects.

    A 303 says that the request was carried out.
    """

    async def scenario() -> None:
        other = bench.listen()
        location = f"Location: {other.url}/api/v1/sendsms"
        listener = bench.listen([HEAD, BODY, ["reply", status, HTML, location]])
        async with bench.client(listener.url, follow_redirects=following) as insim:
            ending = await bench.send(insim)
            assert type(ending) is (OutcomeUnknown if status == 303 else ConfigurationError), ending
            assert other.report().opened == 0
            assert listener.report().requests == 1
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize(
    ("status", "ended"), [(401, Status.REFUSED), (302, Status.NOT_SENT), (404, Status.NOT_SENT)]
)
def test_in_bulk_nothing_more_is_sent_where_nothing_will_pass(
    bench: Bench, status: int, ended: Status
) -> None:
    """The rest is not sent, and says why."""

    async def scenario() -> None:
        listener = bench.listen(BEHAVE, otherwise=[HEAD, BODY, ["reply", status, HTML]])
        async with bench.client(listener.url, batch_size=2, max_concurrency=1) as insim:
            report = await insim.send_many(bench.messages(8))
            assert bench.file(report) == [Status.SENT] * 2 + [ended] * 2 + [Status.NOT_SENT] * 4
            assert all(
                str(report.outcomes[2].error) in str(outcome.error)
                for outcome in report.outcomes[2:]
            )
            assert listener.report().requests == 2
            await bench.probe(insim, listener, 1)

    bench.run(scenario)


@pytest.mark.parametrize("status", [200, 503, 422, 403])
def test_in_bulk_a_batch_that_fails_is_no_reason_to_stop(bench: Bench, status: int) -> None:
    """The next may pass."""

    async def scenario() -> None:
        listener = bench.listen(BEHAVE, [HEAD, BODY, ["reply", status, HTML]])
        async with bench.client(listener.url, batch_size=2, max_concurrency=1) as insim:
            report = await insim.send_many(bench.messages(6))
            assert (
                bench.file(report) == [Status.SENT] * 2 + [Status.UNKNOWN] * 2 + [Status.SENT] * 2
            )
            await bench.probe(insim, listener, 1)

    bench.run(scenario)


@pytest.mark.parametrize("close", [True, False])
def test_a_large_request_refused_half_way_is_sent_in_halves_or_unknown(
    bench: Bench, close: bool
) -> None:
    """The server answers without reading on: whether that arrives is chance. Nothing hangs."""

    async def scenario() -> None:
        listener = bench.listen(
            [HEAD, ["reply", 413, "too large", "Connection: close"], CLOSE if close else STALL]
        )
        async with bench.client(listener.url, max_parts=255) as insim:
            texts = [
                Sms(sms.phone_number, "x" * 10_000, sms_id=sms.sms_id) for sms in bench.messages(40)
            ]
            report = await insim.send_many(texts)
            assert set(bench.file(report)) <= {Status.SENT, Status.UNKNOWN}
            await bench.probe(insim, listener)

    bench.run(scenario)


def test_a_connection_that_the_server_will_close_is_not_used_again(bench: Bench) -> None:
    """It says so, and takes its time."""

    async def scenario() -> None:
        closing: Script = [
            *TAKE,
            ["receipts", "straight", "Connection: close"],
            ["wait", 0.02],
            CLOSE,
        ]
        listener = bench.listen(otherwise=closing)
        async with bench.client(listener.url) as insim:
            for opened in range(1, 6):
                assert isinstance(await bench.send(insim), SmsReceipt)
                assert listener.report().opened == opened

    bench.run(scenario)


@pytest.mark.parametrize("stray", ["\r\n", "[]", "HTTP/1.1 2", "<b>Notice</b>: undefined index"])
def test_rubbish_behind_an_answer_does_no_harm(bench: Bench, stray: str) -> None:
    """At worst the next message meets it, and is unknown."""

    async def scenario() -> None:
        listener = bench.listen(otherwise=[*TAKE, ["receipts_and", stray]])
        async with bench.client(listener.url) as insim:
            for _ in range(4):
                ending = await bench.send(insim)
                assert status_of(ending) in {Status.SENT, Status.UNKNOWN}, ending
            listener.script()
            await bench.send(insim)  # over what may be left of the last connection
            await bench.probe(insim, listener)

    bench.run(scenario)


LEFT_OVER = {
    "429": "HTTP/1.1 429 Later\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{}",
    "302": "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "401": "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}",
    "413": "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("leg", [OWN, HTTPX, HTTPX2, TRIO], ids=str)
@pytest.mark.parametrize("answer", LEFT_OVER.values(), ids=LEFT_OVER)
def test_an_answer_behind_an_answer_is_not_that_of_the_next_message(
    bench: Bench, leg: Leg, answer: str
) -> None:
    """It was there before the request, and proves nothing of it."""

    async def scenario() -> None:
        listener = bench.listen([*TAKE, ["receipts_and", answer]])
        async with bench.client(listener.url, max_concurrency=1) as insim:
            assert isinstance(await bench.send(insim), SmsReceipt)
            ending = await bench.send(insim)
            assert status_of(ending) in {Status.SENT, Status.UNKNOWN}, ending
            await bench.probe(insim, listener, 1)

    bench.run(scenario)


async def until_acted_out(listener: Listener, scripts: int) -> None:
    """Wait until so many requests have met all that was in store for them."""
    await until(lambda: listener.report().acted_out == scripts)


@pytest.mark.parametrize("status", [200, 401, 408, 503])
def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(
    bench: Bench, status: int
) -> None:
    """Servers say 408 before they close an idle connection."""

    async def scenario() -> None:
        unasked: Script = [*BEHAVE, ["hold"], ["reply", status, "[]"]]
        listener = bench.listen(otherwise=unasked)
        async with bench.client(listener.url) as insim:
            for sent in (1, 2, 3):
                assert isinstance(await bench.send(insim), SmsReceipt)
                listener.release(once=True)
                await until_acted_out(listener, sent)

    bench.run(scenario)


# Bodies

BODIES = {
    "HTML": HTML,
    "null": "null",
    "empty": "",
    "white space": " \r\n ",
    "cut": '[{"id_sms_api": "sms-1", "sent": 1, "phone_number": "+33639',
    "list": "[]",
    "object": "{}",
    "string": '"sent"',
    "number": "1",
    "list of strings": '["sms-1"]',
    "list of null": "[null]",
    "not a number": '[{"id_sms_api": "sms-1", "sent": NaN}]',
    "deep": "[" * 100_000,
    "deep objects": '{"data":' * 100_000,
    "sent of a wrong type": (
        '[{"id_sms_api": "sms-1", "phone_number": "+33639980001", "sent": [1]}]'
    ),
    "sent twice over": '[{"id_sms_api": "sms-1", "phone_number": "+33639980001", "sent": 1}]]',
    "NUL": "\x00",
    "UTF-16": '[{"sent":1}]'.encode("utf-16").decode("latin-1"),
    "huge digits": '[{"id_sms_api": "sms-1", "sent": ' + "1" * 100_000 + "}]",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_200_that_is_not_an_answer_leaves_it_unknown(bench: Bench, body: str) -> None:
    """Something took the request; what it did with it is anybody's guess."""

    async def scenario() -> None:
        listener = bench.listen(
            [*TAKE, ["reply", 200, BODIES[body], "Content-Type: application/json"]]
        )
        async with bench.client(listener.url) as insim:
            ending = await bench.send(insim)
            assert type(ending) is OutcomeUnknown, ending
            assert listener.report().requests == 1
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_an_answer_that_is_not_utf_8_leaves_it_unknown(bench: Bench, encoding: str) -> None:
    """JSON is UTF-8 without a mark in front (RFC 8259, 8.1)."""

    async def scenario() -> None:
        listener = bench.listen([*TAKE, ["encoded", encoding]])
        async with bench.client(listener.url) as insim:
            ending = await bench.ending(insim.send_sms(NUMBER, "caf\u00e9", sms_id="sms-0"))
            assert type(ending) is OutcomeUnknown, ending
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_another_2xx_without_receipts_leaves_it_unknown(bench: Bench, status: int) -> None:
    """Accepted is not answered."""

    async def scenario() -> None:
        listener = bench.listen([*TAKE, ["reply", status, ""]])
        async with bench.client(listener.url) as insim:
            assert isinstance(await bench.send(insim), OutcomeUnknown)
            await bench.probe(insim, listener)

    bench.run(scenario)


FLOODS: dict[str, Script] = {
    "gzip bomb": [["bomb", 50]],
    "gzip, though nobody asked": [["gzipped"]],
    "endless body": [["say", OK + "\r\n"], ["flood", " " * 65536]],
    "endless chunks": [
        ["say", OK + "Transfer-Encoding: chunked\r\n\r\n"],
        ["flood", "10000\r\n" + " " * 65536 + "\r\n"],
    ],
    "declared 10 GB": [["say", OK + "Content-Length: 10737418240\r\n\r\n"], ["flood", " " * 65536]],
    "declared 10 GB, then gone": [["say", OK + "Content-Length: 10737418240\r\n\r\n"], CLOSE],
    "200 KB of headers": [
        ["reply", 200, "[]", *[f"X-Padding-{at}: {'x' * 2000}" for at in range(100)]]
    ],
    "one header of 200 KB": [["reply", 200, "[]", f"X-Padding: {'x' * 200_000}"]],
    "endless headers": [["say", OK], ["flood", f"X-Padding: {'x' * 2000}\r\n" * 30]],
    "endless status line": [["flood", "H" * 65536]],
}


@pytest.mark.parametrize("flood", FLOODS)
def test_an_answer_too_large_leaves_it_unknown_and_memory_flat(bench: Bench, flood: str) -> None:
    """Long before the deadline, and within 20 MB."""

    async def scenario() -> None:
        listener = bench.listen([*TAKE, *FLOODS[flood]])
        async with bench.client(listener.url) as insim:
            await bench.probe(insim, listener)
            listener.script([*TAKE, *FLOODS[flood]])
            before = restart_peak()
            ending = await bench.send(insim)
            growth = memory("VmHWM") - before
            assert type(ending) is OutcomeUnknown, ending
            assert growth < ALLOWED_GROWTH, f"{growth} KiB"
            await bench.probe(insim, listener)

    bench.run(scenario)


def memory(name: str) -> int:
    """Return what the kernel says of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def restart_peak() -> int:
    """Forget the highest use of memory so far; return the present one."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


# Receipts

S, U, R = Status.SENT, Status.UNKNOWN, Status.REFUSED
RECEIPTS: dict[str, list[Status]] = {
    "straight": [S, S, S, S],
    "fewer": [U, S, S, S],
    "none": [U, U, U, U],
    "more": [S, S, S, S],
    "repeated": [S, S, S, S],
    "contradictory": [U, S, S, S],
    "permuted": [S, S, S, S],
    "foreign": [U, S, S, S],
    "foreign ids": [S, S, S, S],
    "strings": [S, S, S, S],
    "no sent": [U, U, U, U],
    "no ids": [S, S, S, S],
    "no ids, permuted": [U, U, U, U],
    "no ids, fewer": [U, U, U, U],
    "no ids, no numbers": [U, U, U, U],
    "not sent": [R, R, R, R],
    "refused": [R, R, R, R],
}


def test_every_twist_that_the_gateway_knows_is_used() -> None:
    """None is forgotten."""
    assert TWISTS.keys() == RECEIPTS.keys() | {"object"}


@pytest.mark.parametrize("twist", RECEIPTS)
def test_receipts_are_matched_and_never_guessed(bench: Bench, twist: str) -> None:
    """By id, else by position and number; what cannot be matched is unknown."""

    async def scenario() -> None:
        taken: Script = [HEAD, BODY] if R in RECEIPTS[twist] else TAKE
        listener = bench.listen([*taken, ["receipts", twist]])
        async with bench.client(listener.url) as insim:
            report = await insim.send_many(bench.messages(4))
            assert bench.file(report) == RECEIPTS[twist]
            assert listener.report().requests == 1
            await bench.probe(insim, listener)

    bench.run(scenario)


@pytest.mark.parametrize(
    ("twist", "status"),
    [
        ("straight", S),
        ("object", S),
        ("strings", S),
        ("no ids", S),
        ("none", U),
        ("foreign", U),
        ("not sent", R),
        ("refused", R),
    ],
)
def test_one_message_may_be_answered_by_one_object(
    bench: Bench, twist: str, status: Status
) -> None:
    """An object where a list is documented."""

    async def scenario() -> None:
        taken: Script = [HEAD, BODY] if status is R else TAKE
        listener = bench.listen([*taken, ["receipts", twist]])
        async with bench.client(listener.url) as insim:
            ending = await bench.send(insim)
            assert status_of(ending) is status, ending
            await bench.probe(insim, listener)

    bench.run(scenario)
