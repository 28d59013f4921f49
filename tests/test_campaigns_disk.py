"""The ledger on a disk: what a power loss leaves, a disk that is full, and a second process."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from insim_async import AsyncInSim
from insim_async.campaigns import Campaign, CampaignStopped, LedgerUnavailable

from .campaigns import TEXT, all_of, people, processed, statuses
from .conftest import BASE_URL, KEY, LOGIN, Gateway, Hours

Open = Callable[..., Campaign]

OTHER = Path(__file__).with_name("campaign_processes.py")
STRACE = [
    "strace",
    "-f",
    "--seccomp-bpf",
    "-y",
    "-e",
    "trace=pwrite64,ftruncate,fsync,fdatasync,write",
]
PROBE = ["sh", "-c", "strace -f --seccomp-bpf -o /dev/null true"]
CAN_TRACE = subprocess.run(PROBE, stderr=subprocess.DEVNULL).returncode == 0


TOO_EARLY = "written before its journal was synced"
SAYS = 'write(1</p>, "now: a\\n"'
BEGINS = "fsync(3<J> <unfinished ...>"


class Sync:
    """What of a file and its journal is not synced yet, told from the calls of a process."""

    CALL = re.compile(r"(\d+) +(\w+)\((\d+)<([^>]*)>(.*)")
    SAID = re.compile(r'"now: ([^"]*)\\n"')
    RESUMED = re.compile(r"(\d+) +<\.\.\. f(?:data)?sync resumed>")

    def __init__(self, path: Path) -> None:
        self.found: list[tuple[str, list[str]]] = []
        self._names = {str(path): "file", f"{path}-journal": "journal"}
        self._unsynced: set[str] = set()
        self._syncing: dict[str, str] = {}

    def read(self, line: str) -> None:
        """Take the next call; what a process says is found together with what was unsynced."""
        if resumed := self.RESUMED.match(line):
            self._unsynced.discard(self._syncing.pop(resumed[1], ""))
        elif call := self.CALL.match(line):
            self._call(*call.groups())

    def _call(self, process: str, name: str, descriptor: str, path: str, rest: str) -> None:
        what = self._names.get(path, "")
        if name == "write" and descriptor == "1" and (said := self.SAID.search(rest)):
            self.found.append((said[1], sorted(self._unsynced)))
        elif name in {"pwrite64", "ftruncate"} and what:
            if what == "file" and "journal" in self._unsynced:
                self.found.append((TOO_EARLY, ["journal"]))
            self._unsynced.add(what)
        elif "unfinished" in rest:
            self._syncing[process] = what
        else:
            self._unsynced.discard(what)


def unsynced(trace: Iterable[str], path: Path) -> list[tuple[str, list[str]]]:
    """Return each word that a process said, and what was written and not synced by then."""
    sync = Sync(path)
    for line in trace:
        sync.read(line)
    return sync.found


class TestPowerLoss:
    @pytest.mark.parametrize(
        ("calls", "found"),
        [
            (["pwrite64(3<F>, 1, 0) = 1", "fdatasync(3<F>) = 0", SAYS], ("a", [])),
            (["pwrite64(3<F>, 1, 0) = 1", "fsync(4</other>) = 0", SAYS], ("a", ["file"])),
            (["ftruncate(3<J>, 0) = 0", SAYS], ("a", ["journal"])),
            (["pwrite64(4</other>, 1, 0) = 1", SAYS], ("a", [])),
            (["no call", "write(1</p>, ...", SAYS], ("a", [])),
            (["ftruncate(3<J>, 0) = 0", BEGINS, SAYS], ("a", ["journal"])),
            (["ftruncate(3<J>, 0) = 0", BEGINS, "<... fsync resumed>) = 0", SAYS], ("a", [])),
            (["pwrite64(3<J>, 1, 0) = 1", "pwrite64(3<F>, 1, 0) = 1"], (TOO_EARLY, ["journal"])),
        ],
    )
    def test_what_is_unsynced_is_told_from_calls(
        self, calls: list[str], found: tuple[str, list[str]]
    ) -> None:
        lines = [f"7  {call}".replace("<F", "</F").replace("<J", "</F-journal") for call in calls]
        assert unsynced(lines, Path("/F")) == [found]

    def test_all_that_is_promised_is_synced_before(self, path: Path, tmp_path: Path) -> None:
        """With the system calls of a process, where they can be watched."""
        log = tmp_path / "trace"
        watched = [*STRACE, "-o", str(log)] * CAN_TRACE
        command = [*watched, sys.executable, str(OTHER), "promise", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        words = re.findall("now: (.*)", done.stdout)
        assert "a request leaves" in words
        assert words[-1] == "paused"
        assert (
            unsynced(log.read_text().splitlines(), path) == [(word, []) for word in words]
            if CAN_TRACE
            else pytest.skip("strace is not here, or may not trace: who syncs when is not seen")
        )

    async def test_its_connection_waits_for_the_disk(self, campaign: Campaign) -> None:
        async def asked(name: str) -> Any:
            return await campaign._ledger.do(
                lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0]
            )

        assert await asked("synchronous") == 2  # FULL
        assert await asked("fullfsync") == 1  # of macOS
        assert await asked("journal_mode") == "truncate"
        assert await asked("locking_mode") == "normal"


class Disk:
    """A disk that may be full: no file grows, nor can be written behind its first bytes."""

    LIMITS = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Leave no room."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, self.LIMITS[1]))

    def clear(self) -> None:
        """Make room again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self.LIMITS)


@pytest.fixture
def disk(gateway: Gateway) -> Iterator[Disk]:
    """One that is full when the first answer comes."""
    disk = Disk()

    def take(messages: list[dict[str, Any]]) -> httpx.Response:
        disk.fill()
        return gateway.take(messages)

    gateway.answers = [take]
    yield disk
    disk.clear()


class TestFullDisk:
    async def test_what_does_not_fit_is_not_added_at_all(
        self, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SQLite's own limit on pages, on a real connection."""
        await campaign.add(people(3), TEXT)
        file = campaign._ledger.file
        connected = file._connected

        def limited() -> Any:
            connection = connected()
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 3}")
            return connection

        with monkeypatch.context() as full:
            full.setattr(file, "_connected", limited)
            with pytest.raises(LedgerUnavailable, match="full"):
                await campaign.add(people(2000), TEXT)
            assert await statuses(campaign) == ["pending"] * 3
        await campaign._ledger.do(
            lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone()
        )
        assert (await campaign.add(people(2000), TEXT)).new == 1997

    async def test_where_nothing_can_be_written_it_stops_and_what_left_is_unknown(
        self, open_campaign: Open, gateway: Gateway, hours: Hours, disk: Disk
    ) -> None:
        """By the kernel's limit on the size of files."""
        campaign = open_campaign()
        await campaign.add(people(6), TEXT)
        async with client(hours) as insim:
            with pytest.raises(CampaignStopped, match="cannot be written") as caught:
                await campaign.run(insim)
            disk.clear()
            assert isinstance(caught.value.cause, LedgerUnavailable)
            assert processed(gateway) == 2
            campaign.close()
            campaign = open_campaign()
            assert await statuses(campaign) == ["unknown"] * 2 + ["pending"] * 4
            assert str(await campaign.run(insim)) == "finished: sent 4, unknown 2"
        assert processed(gateway) == 6

    async def test_where_there_is_room_again_it_goes_on_and_nothing_is_unknown(
        self,
        campaign: Campaign,
        gateway: Gateway,
        hours: Hours,
        disk: Disk,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await campaign.add(people(6), TEXT)
        transact, failures = campaign._ledger.file.transact, list[LedgerUnavailable]()

        def watched(actions: Any) -> Any:
            try:
                return transact(actions)
            except LedgerUnavailable as error:
                failures.append(error)
                disk.clear()
                raise

        monkeypatch.setattr(campaign._ledger.file, "transact", watched)
        async with client(hours) as insim:
            assert str(await campaign.run(insim)) == "finished: sent 6"
        assert len(failures) == 1
        assert processed(gateway) == 6


def client(hours: Hours) -> AsyncInSim:
    return AsyncInSim(
        LOGIN, KEY, base_url=BASE_URL, clock=hours.clock, batch_size=2, max_concurrency=1
    )


async def test_a_second_process_records_and_steers_while_it_runs(
    path: Path, gateway: Gateway, hours: Hours
) -> None:
    """Nothing of it is lost, neither gets an error, and who opted out before gets nothing."""
    with closing(Campaign.open(path)) as campaign:  # on a real clock, since the other has one
        await campaign.add(people(500), TEXT)
        await campaign.pause()
        command = [sys.executable, str(OTHER), "report", str(path)]
        reports: list[Any] = []

        async def other() -> None:
            reports.append(await anyio.run_process(command, check=True))

        async with (
            AsyncInSim(LOGIN, KEY, base_url=BASE_URL, batch_size=10, max_concurrency=1) as insim,
            anyio.create_task_group() as group,
        ):
            group.start_soon(other)
            report = await campaign.run(insim)
        assert reports[0].stdout == b"now: 480 reports, 500 exported\n"
        assert str(report).startswith("finished: sent 480, suppressed 20")
        assert processed(gateway) == 480
        counts = (await campaign.status()).counts
        assert (counts.sent, counts.delivered, counts.suppressed) == (480, 480, 20)
        suppressed = [message.phone_number for message in await all_of(campaign, "suppressed")]
        assert suppressed == [contact.phone_number for contact in people(20, first=480)]
    assert len(path.with_suffix(".csv").read_text().splitlines()) == 501
