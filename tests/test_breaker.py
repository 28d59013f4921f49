"""When a bulk call stops believing that anything arrives."""

from __future__ import annotations

import pytest

from insim_async._sending.breaker import Breaker

# U: a request that ended wholly unknown, k: one of which anything is known; in capitals a probe's.
STORIES = [
    ("", False, 1.0),
    ("UU", False, 1.0),
    ("UUU", True, 1.0),
    ("UUkU", False, 1.0),
    ("UUkUU", False, 1.0),
    ("UUkUUU", True, 1.0),
    ("UUU pU", True, 5.0),
    ("UUU pU pU", True, 25.0),
    ("UUU pU pU pU", True, None),
    ("UUU pk", False, 1.0),
    ("UUU pU pk UU", False, 1.0),
    ("UUU pU pk UUU", True, 1.0),
    ("UUU U U", True, 1.0),
    ("UUU pU U pU", True, 25.0),
    ("UUU k", False, 1.0),
]


@pytest.mark.parametrize(("story", "is_open", "wait"), STORIES)
def test_it_opens_probes_and_gives_up(story: str, is_open: bool, wait: float | None) -> None:
    breaker = Breaker()
    is_probe = False
    for letter in story.replace(" ", ""):
        if letter == "p":
            is_probe = True
            continue
        breaker.ended(unknown=letter == "U", probe=is_probe)
        is_probe = False
    assert (breaker.is_open, breaker.wait) == (is_open, wait)


def test_the_waits_are_the_callers_to_choose() -> None:
    breaker = Breaker((600.0,))
    for _ in range(3):
        breaker.ended(unknown=True, probe=False)
    assert breaker.wait == 600.0
    breaker.ended(unknown=True, probe=True)
    assert breaker.wait is None
