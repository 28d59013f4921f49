"""A task that belongs to nobody ends with a word to whoever started it."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from insim_async import _tasks

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_a_task_outlives_the_scope_in_which_it_was_started(backend: str) -> None:
    async def main() -> None:
        done, ended = anyio.Event(), anyio.Event()

        async def function() -> None:
            await anyio.lowlevel.checkpoint()
            done.set()

        with anyio.move_on_after(0):
            _tasks.start(function, ended.set)
            await anyio.sleep_forever()
        await ended.wait()
        assert done.is_set()

    anyio.run(main, backend=backend)


async def test_a_task_that_is_cancelled_before_it_begins_ends_all_the_same() -> None:
    ended = anyio.Event()
    before = asyncio.all_tasks()
    _tasks.start(anyio.sleep_forever, ended.set)
    (task,) = asyncio.all_tasks() - before
    task.cancel()
    await ended.wait()


@BACKENDS
def test_a_task_ends_with_its_loop(backend: str) -> None:
    ended: list[str] = []

    async def main() -> None:
        _tasks.start(anyio.sleep_forever, lambda: ended.append("yes"))
        await anyio.lowlevel.checkpoint()

    anyio.run(main, backend=backend)
    assert ended == ["yes"]


async def test_what_comes_while_one_waits_is_passed_on_afterwards() -> None:
    event = anyio.Event()
    task = asyncio.create_task(_tasks.wait_whatever_comes(event))
    for _ in range(3):
        await anyio.lowlevel.checkpoint()
        task.cancel()
    await anyio.lowlevel.checkpoint()
    assert not task.done()
    event.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _tasks.wait_whatever_comes(event)


@BACKENDS
def test_what_runs_to_its_end_passes_on_what_it_raised(backend: str) -> None:
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError

    async def main() -> None:
        with pytest.raises(LookupError):
            await _tasks.to_its_end(fail)

    anyio.run(main, backend=backend)


@BACKENDS
def test_a_turn_of_the_loop_is_seen_where_it_can_be(backend: str) -> None:
    async def main() -> None:
        turn = _tasks.Turn()
        assert turn.has_passed is (backend == "trio")
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        assert turn.has_passed

    anyio.run(main, backend=backend)


def test_nothing_is_called_later_where_it_could_not_be_undone() -> None:
    """In trio."""
    called = [True]

    async def main() -> None:
        _tasks.later(0.0, called.clear)
        await anyio.lowlevel.checkpoint()

    anyio.run(main, backend="trio")
    assert called == [True]
