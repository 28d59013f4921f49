"""The gateway, once for all tests of this folder, and a bench for each."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from .bench import LEGS, Bench, Leg
from .gateway import Gateway
from .pki import Pki, make_pki


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in which chance has a part."""
    for item in items:
        if "seed" in getattr(item, "fixturenames", ()):
            item.add_marker("seeded")


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The misbehaving gateway."""
    gateway = Gateway()
    gc.collect()
    gc.freeze()  # the bench collects often; what exists by now stays anyway
    yield gateway
    gc.unfreeze()
    gateway.close()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates, good and bad."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def seed() -> int:
    """Where chance begins: always at the same place, unless ``INSIM_FAULTS_SEED`` says another."""
    seed = int(os.environ.get("INSIM_FAULTS_SEED", "4711"))
    print(f"INSIM_FAULTS_SEED={seed}")
    return seed


@pytest.fixture(params=LEGS, ids=str)
def leg(request: pytest.FixtureRequest) -> Leg:
    """Each event loop and each kind of HTTP client."""
    leg: Leg = request.param
    return leg


@pytest.fixture
def bench(leg: Leg, gateway: Gateway) -> Iterator[Bench]:
    """A bench on one leg."""
    bench = Bench(leg, gateway)
    yield bench
    bench.close()
