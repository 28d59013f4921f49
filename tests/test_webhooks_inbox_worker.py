"""What a worker may claim, and when it may believe that another one crashed."""

from __future__ import annotations

import pytest

from insim_async.webhooks.inbox._places import MOST_AHEAD, QUICK, Places
from insim_async.webhooks.inbox._rows import Claim, Quota
from insim_async.webhooks.inbox._sight import Sight


def claim(key: str, attempts: int = 1, *, suspect: bool = False) -> Claim:
    return Claim(key, "call", "calls", b"", attempts, 0.0, suspect=suspect)


def handled(places: Places, seconds: float) -> int:
    """Claim what may be and handle it; return how many that were."""
    claims = [claim(str(each)) for each in range(places.quota().places)]
    places.take(claims)
    while (begun := places.begin()) is not None:
        places.leave(seconds)
        places.forget(begun)
    return len(claims)


SLOW = QUICK + 0.01
NEW, NEWER = claim("new"), claim("newer")
RETRY = claim("retry", 2)
SUSPECT = claim("suspect", 2, suspect=True)


class TestSight:
    @pytest.mark.parametrize(
        ("answers", "now", "may"),
        [
            ([], 0.0, True),
            ([], 5.0, True),
            ([], 5.1, False),  # half a lease without an answer
            ([5.0], 9.0, True),
            ([5.0, 10.0, 15.0], 15.0, True),
            ([5.1], 5.1, False),  # nobody could renew a lease: each has a whole one again
            ([5.1], 15.0, False),
            ([5.1, 10.0, 15.0], 15.0, False),
            ([5.1, 10.0, 15.0], 15.1, True),
            ([5.1, 10.0, 15.2], 25.0, False),  # blind again, before it could see
            ([5.1, 10.0, 15.2, 20.0, 25.0], 25.1, False),
            ([5.1, 10.0, 15.2, 20.0, 25.0], 25.2, True),
            ([100.0], 109.9, False),
            ([100.0, 105.0], 110.0, True),
        ],
    )
    def test_tells_whether_an_ended_lease_is_a_crash(
        self, answers: list[float], now: float, may: bool
    ) -> None:
        """With leases of ten seconds, which begin at zero."""
        sight = Sight(lease=10.0, answered_at=0.0)
        for at in answers:
            sight = sight.answered(at)
        assert sight.may_take_over(now) is may

    def test_of_a_file_that_does_not_answer_is_not_lost_at_once(self) -> None:
        sight = Sight(lease=10.0, answered_at=0.0)
        unanswered = sight.unanswered()
        assert (sight.answers, unanswered.answers, unanswered.answered(1.0).answers) == (
            True,
            False,
            True,
        )
        assert (unanswered.may_take_over(5.0), unanswered.may_take_over(5.1)) == (True, False)


class TestPlaces:
    @pytest.mark.parametrize(
        ("claimed", "quota"),
        [
            ([], Quota(3, 1, 1)),
            ([[]], Quota(3, 1, 1)),
            ([[NEW]], Quota(2, 1, 1)),
            ([[NEW, NEWER]], Quota(1, 1, 1)),
            ([[SUSPECT]], Quota(2, 0, 1)),
            ([[RETRY]], Quota(2, 1, 0)),
            ([[RETRY], []], Quota(2, 1, 0)),
            ([[RETRY], [NEW]], Quota(1, 1, 0)),  # it is still being handled
            ([[NEW, RETRY, SUSPECT]], Quota(0, 0, 0)),
        ],
    )
    def test_are_for_one_suspect_and_one_retry_at_a_time(
        self, claimed: list[list[Claim]], quota: Quota
    ) -> None:
        places = Places(3)
        for claims in claimed:
            places.take(claims)
        assert places.quota() == quota

    def test_are_for_what_is_new_after_what_failed_before(self) -> None:
        """Even with one place, of which each has its turn."""
        places = Places(1)
        for claimed, retries in ((RETRY, 0), (NEW, 1), (RETRY, 0)):
            places.take([claimed])
            assert places.begin() is claimed
            places.leave(SLOW)
            assert places.forget(claimed) is (claimed is RETRY)
            places.take([])
            assert places.quota() == Quota(1, 1, retries)

    def test_are_free_before_the_lease_is(self) -> None:
        """The row remains claimed until its end is on disk."""
        places = Places(1)
        places.take([SUSPECT])
        assert places.begin() is SUSPECT
        assert (places.quota(), places.keys) == (Quota(0, 0, 1), ["suspect"])
        places.leave(SLOW)
        assert (places.quota(), places.keys) == (Quota(1, 0, 1), ["suspect"])
        assert places.forget(SUSPECT)
        assert (places.quota(), places.keys) == (Quota(1, 1, 1), [])

    def test_are_so_many_at_a_time_and_whoever_comes_then_waits(self) -> None:
        places = Places(1)
        places.take([NEW, NEWER])
        assert places.begin() is NEW
        assert places.begin() is None
        places.leave(SLOW)
        assert places.begin() is NEWER
        places.leave(SLOW)
        assert places.begin() is None

    def test_are_claimed_ahead_for_twice_as_many_each_time_that_all_are_quickly_done(self) -> None:
        places = Places(2)
        claimed = [handled(places, 0.0) for _ in range(12)]
        assert claimed == [2, 3, 4, 6, 10, 18, 34, 66, 130, 2 + MOST_AHEAD, 2 + MOST_AHEAD, 258]

    def test_are_not_claimed_ahead_of_slow_handlers_nor_beside_a_suspect(self) -> None:
        places = Places(2)
        for _ in range(5):
            handled(places, 0.0)
        assert places.quota().places == 18
        places.take([SUSPECT])
        assert places.quota() == Quota(1, 0, 1)
        assert places.begin() is SUSPECT
        places.leave(SLOW)
        places.forget(SUSPECT)
        assert places.quota() == Quota(2, 1, 1)

    def test_ahead_are_not_filled_one_by_one(self) -> None:
        """But a place that is free is not left so."""
        places = Places(1)
        for _ in range(5):
            handled(places, 0.0)
        claims = [claim(str(each)) for each in range(places.quota().places)]
        assert len(claims) == 17
        places.take(claims)
        assert places.begin() is claims[0]
        free = []
        for each in range(9):
            places.leave(0.0)
            assert places.begin() is claims[each + 1]
            free.append(places.quota().places)
        assert free == [0] * 7 + [8, 9]
        places.leave(0.0)
        assert places.quota().places == 10

    def test_are_not_given_when_it_is_to_stop(self) -> None:
        """What was claimed ahead is still ours, until it is given back."""
        places = Places(1)
        places.take([NEW, NEWER])
        assert places.begin() is NEW
        places.stop()
        places.leave(0.0)
        assert places.begin() is None
        assert places.keys == ["new", "newer"]
