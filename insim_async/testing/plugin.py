"""The plugin for pytest: two fixtures, and a guard before the real inSIM.

It is loaded in every test run beside which the package is installed, so it imports late.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from insim_async import AsyncInSim
    from insim_async.testing import InSimSandbox

_REAL = "insim.app"
_REASON = (
    "this is the real inSIM, and a test is running: use the fixture insim_client, "
    "or mark the test insim_live"
)
_MARK = "insim_live: may reach the real inSIM, which sends real SMS"


def pytest_configure(config: pytest.Config) -> None:
    """Bar the real inSIM, and make the mark known that lifts the bar."""
    from insim_async._http import bar

    config.addinivalue_line("markers", _MARK)
    bar(_REAL, _REASON)


def pytest_unconfigure() -> None:
    """Lift the bar."""
    from insim_async._http import unbar

    unbar(_REAL, _REASON)


# The older kind of wrapper: a project beside the package may have a pytest that knows no other.
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Lift the bar around a test that is marked."""
    from insim_async._http import bar, unbar

    if item.get_closest_marker("insim_live") is None:
        yield
        return
    unbar(_REAL, _REASON)
    try:
        yield
    finally:
        bar(_REAL, _REASON)


@pytest.fixture
def insim_sandbox() -> InSimSandbox:
    """Play inSIM and its phone, in this process."""
    from insim_async.testing import InSimSandbox

    return InSimSandbox()


@pytest.fixture
def insim_client(insim_sandbox: InSimSandbox) -> AsyncInSim:
    """Return an ``AsyncInSim`` of the sandbox, open in whichever event loop uses it."""
    return insim_sandbox.client()
