"""The demo tells the truth about what it did, and leaves nothing behind.

It fails where the sandbox disagrees.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from insim_async.errors import OutcomeUnknown
from insim_async.models import BulkReport, ContactResult, Outcome, Sms, SmsReceipt

for library in ("phonenumbers", "rich", "starlette", "uvicorn"):
    pytest.importorskip(library)

pytestmark = [pytest.mark.extra("phone"), pytest.mark.extra("sandbox")]

DEMO = Path(__file__).parent.parent / "docs" / "examples" / "demo.py"
LIST = Path(__file__).parent / "data" / "clients.csv"
PLAIN = {
    name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}
}
TOTALS = (
    "clients.csv: 460 contacts, 53 rows refused",
    "│ 5    │ the number is empty               │ 97, 334, 427, 495, 530",
    "Contacts: 460 added",
    "Messages: 460 sent, 0 refused, 0 not sent, 0 unknown",
    "Call: started",
    "Sandbox: every message processed exactly once",
)


INTERRUPTIBLE = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
"""Undoes what a shell does to what it runs in the background."""


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_what_happened_and_stops_its_sandbox() -> None:
    command = [sys.executable, "-X", "utf8", str(DEMO)]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=PLAIN, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in TOTALS if line not in done.stdout] == []
    assert not listens(done.stdout)


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGINT, (1, "Stopped.\n")),
        (signal.SIGTERM, (-signal.SIGTERM, "")),
        (signal.SIGKILL, (-signal.SIGKILL, "")),
    ],
)
def test_stopped_midway_it_leaves_no_sandbox(
    number: signal.Signals, ending: tuple[int, str]
) -> None:
    command = [sys.executable, "-X", "utf8", "-u", str(DEMO)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, encoding="utf-8", env=PLAIN, preexec_fn=INTERRUPTIBLE
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline(), process.stdout.readline()]
        process.send_signal(number)
        # The sandbox holds stderr too: this waits for both.
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == ending
    assert not listens("".join(lines))


def listens(output: str) -> bool:
    """Return whether the sandbox that the demo spoke of still accepts connections."""
    port = re.search(r"inSIM at http://127\.0\.0\.1:([0-9]+)\n", output)
    assert port is not None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port[1]))) == 0


def test_its_list_is_the_one_that_is_tested() -> None:
    assert DEMO.with_name("clients.csv").read_bytes() == LIST.read_bytes()


SENT = SmsReceipt(
    sms_id="1",
    phone_number="+33639980001",
    message="Hello",
    parts=1,
    sent=True,
    sent_at=datetime(2025, 10, 29, tzinfo=UTC),
    account="demo@example.com",
)
ADDED = [ContactResult(phone_number="+33639980001", ok=True)]
COUNTS = {"messages": 1, "contacts": 1, "calls": 1}


@pytest.mark.parametrize(
    ("counts", "processed", "agreed"),
    [
        (COUNTS, {"1": 1}, True),
        (COUNTS, {"1": 2}, False),
        (COUNTS, {"2": 1}, False),
        (COUNTS, {}, False),
        (COUNTS, {"1": 1, "2": 1}, False),
        (COUNTS | {"messages": 2}, {"1": 1}, False),
        (COUNTS | {"contacts": 0}, {"1": 1}, False),
        (COUNTS | {"calls": 2}, {"1": 1}, False),
    ],
)
def test_it_agrees_only_with_a_sandbox_that_counted_the_same(
    demo: ModuleType, counts: dict[str, int], processed: dict[str, int], agreed: bool
) -> None:
    report = BulkReport([Outcome(Sms("+33639980001", "Hello"), SENT)], sent=1)
    state: dict[str, Any] = {"counts": counts, "processed": processed}
    assert demo.show_agreement(ADDED, report, state) is agreed


def test_it_does_not_agree_where_one_is_unknown(demo: ModuleType) -> None:
    message = Sms("+33639980001", "Hello")
    outcomes = [Outcome(message, SENT), Outcome(message, None, OutcomeUnknown())]
    report = BulkReport(outcomes, sent=1, unknown=1)
    assert demo.show_agreement(ADDED, report, {"counts": COUNTS, "processed": {"1": 1}}) is False


def test_without_a_sandbox_it_says_so(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "true")
    with pytest.raises(SystemExit, match=r"^The sandbox did not start\.$"):
        demo.main()
