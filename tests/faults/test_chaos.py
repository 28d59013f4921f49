"""The long attacks in short: they run, and they find an app that breaks its word."""

from __future__ import annotations

import random

import pytest

from tests.chaos.webhooks import GUNICORN, UVICORN, kill, under_attack

pytestmark = [pytest.mark.extra("sandbox"), pytest.mark.seeded]


@pytest.mark.parametrize("command", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
async def test_what_was_acknowledged_is_handled_though_its_server_is_killed(
    command: str, seed: int
) -> None:
    row = await under_attack("kill -9", command, kill, 2, random.Random(seed))
    assert not row.broken, row
    assert row.acknowledged >= 10


@pytest.mark.parametrize("fault", ["acknowledges first", "forgets"])
async def test_an_app_that_breaks_its_word_is_found_out(fault: str, seed: int) -> None:
    """It answers before the event is on disk; or calls it done before its handlers are."""
    row = await under_attack("kill -9", UVICORN, kill, 3, random.Random(seed), fault)
    assert row.lost, row
