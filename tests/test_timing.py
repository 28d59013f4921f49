"""How often to try again, and how long to wait before, is arithmetic."""

from __future__ import annotations

import pytest

from insim_async import ConfigurationError, Retry


@pytest.mark.parametrize(
    ("attempt", "chance", "wait"),
    [
        (1, 1.0, 0.5),
        (2, 1.0, 1.0),
        (3, 1.0, 2.0),
        (4, 1.0, 3.0),
        (5, 1.0, None),
        (2, 0.0, 0.0),
        (2, 0.25, 0.25),
    ],
)
def test_a_wait_doubles_up_to_a_cap_with_full_jitter(
    attempt: int, chance: float, wait: float | None
) -> None:
    assert Retry(attempts=5, base=0.5, cap=3.0).wait_after(attempt, chance) == wait


def test_there_may_be_any_number_of_attempts() -> None:
    assert Retry(attempts=10**6, base=0.5, cap=60.0).wait_after(10**6 - 1, 1.0) == 60.0


@pytest.mark.parametrize(
    "retry",
    [
        Retry(attempts=0),
        Retry(base=-1.0),
        Retry(base=9.0, cap=1.0),
        Retry(base=float("nan")),
        Retry(attempts="3"),  # type: ignore[arg-type]
        Retry(base="1"),  # type: ignore[arg-type]
        Retry(cap=None),  # type: ignore[arg-type]
        Retry(attempts=True),
        Retry(base=False),
        Retry(cap=True),
        Retry(attempts=2.5),  # type: ignore[arg-type]
        Retry(base=1.0, cap=float("inf")),
        Retry(base=1.0, cap=10**400),
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(retry: Retry) -> None:
    with pytest.raises(ConfigurationError, match="attempts must be 1 or more"):
        retry.check()
