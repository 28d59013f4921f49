"""Campaigns whose processes are killed, anywhere and again and again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .campaign_story import LATE, QUICK, SLOW, Lives, Story
from .gateway import Gateway, Listener


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    lives = Lives()
    yield lives
    lives.close()


@pytest.fixture
def listener(gateway: Gateway) -> Iterator[Listener]:
    listener = gateway.listen()
    listener.script(*[QUICK, SLOW, LATE] * 200, otherwise=SLOW)
    yield listener
    listener.close()


@pytest.mark.parametrize(
    ("point", "stride"),
    [("statement", 13), ("before the request", 1), ("before the answer is read", 1)],
)
async def test_nobody_is_doubled_or_lost_wherever_it_is_killed(
    lives: Lives, listener: Listener, tmp_path: Path, point: str, stride: int
) -> None:
    """At statements of SQLite since the file was made, and around each request.

    ``nox -s chaos -- campaigns`` kills it at each statement.
    """
    at, ended = 0, False
    while not ended:
        at += stride
        story = Story(tmp_path / str(at), listener, 6, slots=1, batch=3)
        ended = story.live(lives, killed_at=(point, at))
        assert story.live(lives)
        assert await story.faults() == []
    assert at > 2 * stride


async def test_nobody_is_doubled_or_lost_however_often_it_is_killed(
    lives: Lives, listener: Listener, tmp_path: Path, seed: int
) -> None:
    story = Story(tmp_path, listener, 200)
    story.live_through(lives, random.Random(seed), kills=6)
    assert await story.faults() == []
    assert (await story.counts()).total() == 200
    assert story.kills > 1


@pytest.mark.parametrize("fault", ["recovers to pending", "marks nothing before it sends"])
async def test_a_ledger_that_breaks_its_promise_is_found_out(
    lives: Lives, listener: Listener, tmp_path: Path, fault: str, seed: int
) -> None:
    """So we know that the tests above can fail.

    Where nothing kills it, and one request goes at a time, nobody would notice.
    """
    alive = Story(tmp_path / "alive", listener, 40, slots=1, fault=fault)
    assert alive.live(lives)
    assert await alive.faults() == []
    broken: list[str] = []
    at = 0
    while not broken:
        at += 1
        story = Story(tmp_path / str(at), listener, 40, fault=fault)
        story.live(lives, killed_at=("before the answer is read", at))
        assert story.live(lives)
        broken = await story.faults()
    assert any("doubled" in each for each in broken)
