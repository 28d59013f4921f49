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
from pathlib import Path
from types import ModuleType

import pytest

from insim_async.campaigns import MessageCounts

for library in ("phonenumbers", "rich", "starlette", "uvicorn"):
    pytest.importorskip(library)

pytestmark = [pytest.mark.extra("phone"), pytest.mark.extra("sandbox")]

DEMO = Path(__file__).parent.parent / "docs" / "examples" / "demo.py"
LIST = Path(__file__).parent / "data" / "clients.csv"
PLAIN = {
    name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}
}
TOLD = (
    "clients.csv: 460 contacts, 53 rows refused",
    "│ 5    │ the number is empty               │ 97, 334, 427, 495, 530",
    "Preview: 460 messages, 460 SMS parts",
    "Bonjour Maëlys, votre commande est arrivée. STOP pour refuser.",
    "Killed half-way, as by kill -9: pending 220, in_flight 80, sent 160",
    "Somebody answers STOP: +3363998••••",
    "Run again: finished: sent 379, unknown 80, suppressed 1",
    "Delivery reports came: finished: sent 459, suppressed 1, delivered 459",
    "Sandbox: 459 people got it, 0 of them twice, 0 were lost",
    "Nobody got it twice, and nobody was lost.",
)
WARNED = "80 messages may have been sent by a process that ended before their answers came\n"


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


def test_it_prints_what_happened_and_stops_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "utf8", str(DEMO)]
    env = {**PLAIN, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=env, check=False, timeout=150
    )
    assert (done.returncode, done.stderr) == (0, WARNED)
    assert [line for line in TOLD if line not in done.stdout] == []
    assert not listens(done.stdout)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGINT, (1, "Stopped.\n")),
        (signal.SIGTERM, (-signal.SIGTERM, "")),
        (signal.SIGKILL, (-signal.SIGKILL, "")),
    ],
)
def test_stopped_while_it_sends_it_leaves_no_process(
    number: signal.Signals, ending: tuple[int, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-X", "utf8", "-u", str(DEMO)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        env={**PLAIN, "TMPDIR": str(tmp_path)},
        preexec_fn=INTERRUPTIBLE,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("Sending, in process"):
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended before"
        process.send_signal(number)
        # The sandbox and the process that sends hold stderr too: this waits for all.
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == ending
    assert not listens("".join(lines))
    assert number is not signal.SIGINT or [*tmp_path.iterdir()] == []


def listens(output: str) -> bool:
    """Return whether the sandbox that the demo spoke of still accepts connections."""
    port = re.search(r"inSIM at http://127\.0\.0\.1:([0-9]+)\n", output)
    assert port is not None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port[1]))) == 0


def test_its_list_is_the_one_that_is_tested() -> None:
    assert DEMO.with_name("clients.csv").read_bytes() == LIST.read_bytes()


PEOPLE = ["+33639980001", "+33639980002", "+33639980003"]
FIRST, SECOND, OPTED_OUT = PEOPLE


@pytest.mark.parametrize(
    ("sent", "got", "agreed"),
    [
        (2, {FIRST: 1, SECOND: 1}, True),
        (2, {FIRST: 2, SECOND: 1}, False),
        (2, {FIRST: 1}, False),
        (2, {}, False),
        (2, {FIRST: 1, SECOND: 1, OPTED_OUT: 1}, False),
        (2, {FIRST: 1, OPTED_OUT: 1}, False),
        (1, {FIRST: 1, SECOND: 1}, False),
    ],
)
def test_it_agrees_only_with_a_sandbox_that_counted_the_same(
    demo: ModuleType,
    capsys: pytest.CaptureFixture[str],
    sent: int,
    got: dict[str, int],
    agreed: bool,
) -> None:
    counts = MessageCounts(sent=sent, suppressed=1)
    assert demo.show_agreement(PEOPLE, OPTED_OUT, counts, got) is agreed
    assert ("Nobody got it twice, and nobody was lost." in capsys.readouterr().out) is agreed


def test_without_a_sandbox_it_says_so(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "true")
    with pytest.raises(SystemExit, match=r"^The sandbox did not start\.$"):
        demo.main()
