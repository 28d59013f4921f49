"""The shape of the house: its front door, its rooms, and which of them may ask which."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import insim_async

PACKAGE = Path(insim_async.__file__).parent
PROJECT = Path(__file__).parent.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

FRONT_DOOR = [
    "AsyncInSim",
    "AuthenticationFailed",
    "BulkInterrupted",
    "BulkReport",
    "CallResult",
    "Clock",
    "ConfigurationError",
    "Contact",
    "ContactResult",
    "InSimError",
    "InvalidMessage",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Priority",
    "Progress",
    "RateLimited",
    "Refused",
    "Retry",
    "Sms",
    "SmsReceipt",
    "Status",
]

GROUND = {"errors", "timing", "segments", "_privacy", "_tasks", "_tolerant", "_zones"}
WINGS = {"_http", "_wire", "_sqlite", "_sending"}
"""Folders of which one imports only the face from outside; those on one level never ask each other.
"""

CORE: dict[str, set[str]] = {
    "errors": set(),
    "segments": set(),
    "_privacy": set(),
    "_tasks": set(),
    "_tolerant": set(),
    "_zones": set(),
    "timing": {"errors"},
    "models": {"_privacy", "errors"},
    "numbers": {"errors"},
    "_http": {*GROUND, "models"},
    "_wire": {*GROUND, "models"},
    "_sqlite": GROUND,
    "_sending": {*GROUND, "models", "numbers", "_http", "_wire"},
    "_settings": {*GROUND, "_wire", "numbers"},
    "recipients": {"numbers", "models", "errors"},
    "client": {*GROUND, "models", "numbers", "_http", "_wire", "_sending", "_settings"},
}
MAP: dict[str, set[str]] = {
    **CORE,
    "__init__": {*CORE},
    "campaigns": {*CORE, "webhooks"},
    "outbox": {*CORE, "campaigns", "webhooks"},
    "sandbox": {"_privacy", "models", "segments", "timing", "webhooks"},
    "testing": {
        "_http",
        "_settings",
        "client",
        "errors",
        "models",
        "sandbox",
        "timing",
        "webhooks",
    },
    "webhooks": {*GROUND, "models", "_sqlite"},
}
WEBHOOKS: dict[str, set[str]] = {
    "_payload": set(),
    "events": {"_payload"},
    "_fast": {"events"},
    "_limits": {"_fast"},
    "_query": {"_fast", "_payload"},
    "_titles": {"events"},
    "parsing": {"_fast", "_limits", "_payload", "_query", "_titles", "events"},
    "_attempt": set(),
    "_counts": set(),
    "_secrets": set(),
    "router": {"_attempt", "_counts", "_secrets", "events"},
    "__init__": {"_attempt", "_counts", "_secrets", "events", "parsing", "router"},
    "inbox": {"_attempt", "events", "parsing", "router"},
    "_reception": {"_attempt", "_secrets", "events", "parsing", "router"},
    "asgi": {"_reception", "router"},
    "aiohttp": {"_reception", "router"},
    "selftest": {"_reception", "_secrets", "events", "parsing"},
    "operating": {"inbox", "parsing"},
    "__main__": {"__init__", "operating", "selftest"},
}
"""The rooms of ``webhooks``, and which of them may ask which; ``inbox``, ``selftest`` and
``operating`` are folders with a face."""
FORMAT = {"_headings", "_reading", "_source", "_table", "_values"}
RECIPIENTS: dict[str, set[str]] = {
    "_table": set(),
    "_values": set(),
    "_words": set(),
    "_letters": set(),
    "_encoding": {"_letters"},
    "_source": set(),
    "_properties": set(),
    "_headings": {"_table", "_words"},
    "_cells": {"_table"},
    "_reading": {"_cells", "_headings", "_letters", "_table", "_values", "_words"},
    "_records": {"_table"},
    "_csv": {*FORMAT, "_encoding", "_records"},
    "_cards": {*FORMAT, "_encoding", "_properties"},
    "_workbook": FORMAT,
    "_mappings": FORMAT - {"_source"},
    "__init__": {"_cards", "_csv", "_mappings", "_values", "_workbook"},
}
"""The rooms of ``recipients``: what reads rows knows no format, and no format knows another."""
SANDBOX: dict[str, set[str]] = {
    "faults": set(),
    "records": set(),
    "shelf": set(),
    "queries": {"faults"},
    "schedule": {"records"},
    "settings": {"faults", "queries"},
    "journal": {"records", "shelf"},
    "orders": {"faults", "settings", "shelf"},
    "postbox": {"faults", "journal", "queries", "records", "shelf"},
    "reports": {"records"},
    "handset": {"journal", "records", "schedule", "settings"},
    "state": {
        "faults",
        "handset",
        "journal",
        "orders",
        "postbox",
        "records",
        "reports",
        "settings",
    },
    "vendor": {"faults", "records", "state"},
    "view": {"faults", "records", "state"},
    "acts": {"state"},
    "admission": {"state"},
    "page": {"state"},
    "courier": {"records", "state"},
    "network": {"queries", "records"},
    "transport": {"faults", "state", "vendor"},
    "app": {"acts", "admission", "courier", "faults", "journal", "page", "records", "state"}
    | {"vendor", "view"},
    "__init__": {"app", "faults", "journal", "records", "settings", "state", "transport"},
    "__main__": {"__init__", "faults"},
}
"""The rooms of ``sandbox``: down to ``page`` all is without I/O."""
LAZY = {"insim_async._http.own.own_transport"}
"""What stays out of a face, since it is slow to import and not always needed."""
ONLY_FOR = {
    "httpx": {"_http/own", "_http/slots", "sandbox/network", "sandbox/transport", "testing"},
    "httpx2": set(),
    "phonenumbers": {"numbers"},
    "python_calamine": {"recipients/_workbook"},
    "starlette": {"sandbox/app"},
}
ONLY_FOR |= {"aiohttp": {"webhooks", "testing"}, "pytest": {"testing/plugin"}}
ONLY_FOR |= {"uvicorn": {"sandbox/__main__"}, "trio": set(), "sqlite3": {"_sqlite"}}
VENDORS_WORDS = re.compile(r"\b(priorite|adress|clicTo[cC]all|accessKey)\b")

CODES = r"(?:(?:type|pyright): ignore\[[\w, -]+\]|noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*)"
REASONED = re.compile(rf"# {CODES} +(?:[-#] )?\w.+")


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def place_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix().removesuffix(".py")


def imports_of(*nodes: ast.AST) -> Iterator[str]:
    """Yield the dotted name of each thing that is imported when the nodes run."""
    for node in nodes:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from imports_of(*node.orelse)
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                yield f"insim_async.relative in line {node.lineno}"
            case _:
                yield from imports_of(*ast.iter_child_nodes(node))


def rooms_asked(module: Path) -> set[str]:
    """Name the other rooms that a module imports from."""
    names = [
        f"{name}.the front door".split(".")
        for name in imports_of(ast.parse(module.read_text("utf-8")))
    ]
    return {room for package, room, *_ in names if package == "insim_async"} - {room_of(module)}


def webhooks_asked(module: Path) -> set[tuple[str, ...]]:
    """Name what a room of ``webhooks`` imports from its other rooms, each thing as a path."""
    names = [
        tuple(name.split(".")[2:])
        for name in imports_of(ast.parse(module.read_text("utf-8")))
        if name.startswith("insim_async.webhooks.")
    ]
    paths = {path if path[0] in WEBHOOKS else ("__init__", *path) for path in names}
    return {path for path in paths if path[0] != webhooks_room_of(module)}


def webhooks_room_of(module: Path) -> str:
    return module.relative_to(PACKAGE / "webhooks").parts[0].removesuffix(".py")


def of_module(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", ["a.b"]),
        ("from a import b, c", ["a.b", "a.c"]),
        ("from . import b", ["insim_async.relative in line 1"]),
        ("def f():\n    import a", ["a"]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
        ("x = 1", []),
    ],
)
def test_imports_are_found_where_they_stand(source: str, expected: list[str]) -> None:
    assert list(imports_of(ast.parse(source))) == expected


def test_the_front_door_is_what_users_were_told() -> None:
    assert insim_async.__all__ == FRONT_DOOR
    assert sorted(FRONT_DOOR) == FRONT_DOOR
    assert [name for name in FRONT_DOOR if not hasattr(insim_async, name)] == []


@pytest.mark.parametrize("module", MODULES, ids=of_module)
class TestModule:
    def test_stands_on_the_map(self, module: Path) -> None:
        assert room_of(module) in MAP

    def test_asks_only_rooms_below_it(self, module: Path) -> None:
        assert rooms_asked(module) <= MAP[room_of(module)]

    def test_enters_a_wing_by_its_face(self, module: Path) -> None:
        names = set(imports_of(ast.parse(module.read_text("utf-8")))) - LAZY
        inner = {
            name
            for name in names
            if name.count(".") > 2 and name.split(".")[1] in WINGS - {room_of(module)}
        }
        assert inner == set()

    def test_leaves_libraries_to_the_room_that_is_for_them(self, module: Path) -> None:
        libraries = {
            name.split(".")[0] for name in imports_of(ast.parse(module.read_text("utf-8")))
        }
        strangers = {
            lib
            for lib in libraries & ONLY_FOR.keys()
            if not {room_of(module), place_of(module)} & ONLY_FOR[lib]
        }
        assert strangers == set()

    def test_leaves_the_vendors_words_to_the_wire(self, module: Path) -> None:
        words = set(VENDORS_WORDS.findall(module.read_text("utf-8")))
        assert words == set() or room_of(module) in {"_wire", "sandbox"}

    def test_says_what_room_it_is(self, module: Path) -> None:
        assert ast.get_docstring(ast.parse(module.read_text("utf-8")))

    def test_is_named_for_what_it_does(self, module: Path) -> None:
        assert module.stem not in {"utils", "helpers", "base", "types", "constants", "compat"}

    def test_gives_a_code_and_a_reason_with_each_suppression(self, module: Path) -> None:
        marks = re.findall(
            r"#\s*(?:type: ignore|pyright: ignore|noqa|pragma).*", module.read_text("utf-8")
        )
        assert [mark for mark in marks if not REASONED.fullmatch(mark)] == []


@pytest.mark.parametrize("module", sorted((PACKAGE / "webhooks").rglob("*.py")), ids=of_module)
class TestWebhooks:
    def test_asks_only_rooms_below_it(self, module: Path) -> None:
        assert {room for room, *_ in webhooks_asked(module)} <= WEBHOOKS[webhooks_room_of(module)]

    def test_enters_a_folder_by_its_face(self, module: Path) -> None:
        assert [
            path for path in webhooks_asked(module) if path[1:2] and path[1].startswith("_")
        ] == []


@pytest.mark.parametrize(("folder", "rooms"), [("recipients", RECIPIENTS), ("sandbox", SANDBOX)])
def test_a_room_of_a_folder_asks_only_rooms_below_it(
    folder: str, rooms: dict[str, set[str]]
) -> None:
    modules = {module.stem: module for module in (PACKAGE / folder).glob("*.py")}
    assert modules.keys() == rooms.keys()
    for room, module in modules.items():
        names = [name.split(".") for name in imports_of(ast.parse(module.read_text("utf-8")))]
        inside = {name[2] for name in names if name[:2] == ["insim_async", folder]}
        assert {name if name in rooms else "__init__" for name in inside} <= rooms[room], room


def test_the_front_door_opens_where_no_extra_can_be_imported() -> None:
    """An extra is imported by the user, never by ``import insim_async``."""
    barred = dict.fromkeys(["phonenumbers", "python_calamine", "starlette", "trio", "uvicorn"])
    program = (
        f"import sys; sys.modules |= {barred}; "
        "import insim_async; print(insim_async.AsyncInSim.__name__)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("AsyncInSim\n", "")


def test_the_plugin_holds_up_no_test_run_beside_which_it_is_installed() -> None:
    """Neither by what is slow to import, nor by an extra that is not there."""
    barred = dict.fromkeys(["aiohttp", "httpx", "insim_async.sandbox", "starlette", "uvicorn"])
    program = (
        f"import sys; sys.modules |= {barred}; "
        "from insim_async.testing import plugin; plugin.pytest_unconfigure(); print(plugin._REAL)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("insim.app\n", "")


PUBLIC = [
    "insim_async",
    "insim_async.campaigns",
    "insim_async.outbox",
    "insim_async.recipients",
    "insim_async.segments",
    "insim_async.webhooks",
    "insim_async.webhooks.inbox",
    "insim_async.webhooks.operating",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_field_that_users_see_is_described(name: str) -> None:
    """In the docstring of the class that brings it, from which the reference is made."""
    module = importlib.import_module(name)
    classes = [each for each in map(module.__dict__.get, module.__all__) if isinstance(each, type)]
    assert [
        f"{each.__name__}.{field}"
        for each in classes
        for field in own_fields(each)
        if not re.search(rf"^ +{field}: ", each.__doc__ or "", re.MULTILINE)
    ] == []


def own_fields(each: type) -> list[str]:
    """Name the fields of a struct that neither are private nor come from a public base."""
    inherited = {
        field
        for base in each.__mro__[1:]
        if base.__name__[0] != "_"
        for field in getattr(base, "__struct_fields__", ())
    }
    return [
        field
        for field in getattr(each, "__struct_fields__", ())
        if field not in inherited and field[0] != "_"
    ]


ON_WINDOWS = """
import os, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "geteuid", "getuid", "register_at_fork", "O_CLOEXEC", "O_NOFOLLOW"):
    delattr(os, name)

import insim_async.recipients, insim_async.segments, insim_async.numbers
import insim_async.webhooks.asgi, insim_async.webhooks.selftest, insim_async.webhooks.operating
from insim_async import AsyncInSim, ConfigurationError
from insim_async.campaigns import Campaign
from insim_async.outbox import Outbox
from insim_async.webhooks.inbox import Inbox

client = AsyncInSim("me", "key", base_url="http://127.0.0.1:1")
for kept in (Inbox, Campaign, Outbox):
    try:
        kept.open(sys.argv[1])
    except ConfigurationError as error:
        print(error)
"""


def test_all_but_what_is_kept_in_files_opens_where_there_is_no_posix(tmp_path: Path) -> None:
    """As on Windows; inboxes, campaigns and outboxes say so."""
    path = tmp_path / "kept.db"
    run = subprocess.run(
        [sys.executable, "-c", ON_WINDOWS, str(path)], capture_output=True, text=True
    )
    said = run.stdout.splitlines()
    assert [line.partition(",")[0] for line in said] == [f"{path}: cannot be kept on Windows"] * 3
    assert (run.stderr, list(tmp_path.iterdir())) == ("", [])


class TestMetadata:
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    project, groups = metadata["project"], metadata["dependency-groups"]

    def test_the_core_needs_three_packages_each_with_a_lower_bound(self) -> None:
        names, bounds = zip(
            *(need.split(">=") for need in self.project["dependencies"]), strict=True
        )
        assert names == ("anyio", "httpx", "msgspec")
        assert all(bounds)

    def test_the_tests_say_what_they_need(self) -> None:
        """As a group that ``pip install --group tests`` knows."""
        named = {re.split(r"\W", need)[0] for need in self.groups["tests"]}
        assert {"respx", "pytest", "hypothesis", "trio"} <= named
        assert "nox.project.dependency_groups" in (PROJECT / "noxfile.py").read_text("utf-8")

    def test_classifiers_name_the_pythons_that_the_tests_run_on(self) -> None:
        classifiers = [
            line for line in self.project["classifiers"] if re.search(r"Python :: \d+\.", line)
        ]
        [pythons] = re.findall(
            r"^PYTHONS = (.+)$", (PROJECT / "noxfile.py").read_text("utf-8"), re.MULTILINE
        )
        assert classifiers == [
            f"Programming Language :: Python :: {python}" for python in ast.literal_eval(pythons)
        ]
        assert self.project["requires-python"] == f">={ast.literal_eval(pythons)[0]}"

    def test_the_docs_say_of_each_extra_what_it_is_for(self) -> None:
        page = (PROJECT / "docs/explanation/how-it-works.md").read_text("utf-8")
        named = re.findall(r"^\| `(\w+)` \| `.+` \| .+ \|$", page, re.MULTILINE)
        assert sorted(named) == sorted(self.project["optional-dependencies"])


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len((PROJECT / "README.md").read_text("utf-8").splitlines()) < 120
