"""Outboxes whose processes are killed, anywhere and again and again, alone or beside another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .campaign_story import LATE, QUICK, SLOW, Lives
from .gateway import Gateway, Listener
from .outbox_story import Story


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Lives, Lives]]:
    both = Lives("outbox_process"), Lives("outbox_process")
    yield both
    for lives in both:
        lives.close()


@pytest.fixture
def listener(gateway: Gateway) -> Iterator[Listener]:
    listener = gateway.listen()
    listener.script(*[QUICK, SLOW, LATE] * 200, otherwise=SLOW)
    yield listener
    listener.close()


@pytest.mark.parametrize(
    ("point", "least"),
    [("behind a put", 3), ("before the request", 2), ("before the answer is read", 2)],
)
async def test_nothing_is_doubled_or_lost_wherever_it_is_killed(
    both: tuple[Lives, Lives], listener: Listener, tmp_path: Path, point: str, least: int
) -> None:
    at, ended = 0, False
    while not ended:
        at += 1
        story = Story(tmp_path / str(at), listener, 4, slots=1, batch=2)
        ended = story.live(both[0], killed_at=(point, at))
        assert story.live(both[0], people=0)
        assert await story.faults() == []
    assert at > least


async def test_nothing_is_doubled_or_lost_where_two_are_killed_again_and_again(
    both: tuple[Lives, Lives], listener: Listener, tmp_path: Path, seed: int
) -> None:
    story = Story(tmp_path / "both", listener, 20)
    story.live_through_beside(both, random.Random(seed), 16)
    assert story.live(both[0], people=0)
    assert await story.faults() == []
    assert (await story.counts())["sent"] > 0
    assert story.kills > 5


@pytest.mark.parametrize("fault", ["recovers to pending", "marks nothing before it sends"])
async def test_an_outbox_that_breaks_its_promise_is_found_out(
    both: tuple[Lives, Lives], listener: Listener, tmp_path: Path, fault: str
) -> None:
    """So we know that the tests above can fail."""
    broken: list[str] = []
    at = 0
    while not broken:
        at += 1
        story = Story(tmp_path / str(at), listener, 20, fault=fault)
        story.live(both[0], killed_at=("before the answer is read", at))
        assert story.live(both[0], people=0)
        broken = await story.faults()
    assert any("doubled" in each for each in broken)
