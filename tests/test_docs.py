"""Every example of README and documentation runs, and does what the page shows.

They run against a sandbox on a socket.
"""

from __future__ import annotations

import ast
import asyncio
import codeop
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import httpx
import pytest

import insim_async
from insim_async.campaigns import Campaign
from insim_async.webhooks import IncomingSms, build_webhook
from insim_async.webhooks.inbox import Inbox

pytestmark = pytest.mark.extra("sandbox")

PROJECT = Path(__file__).parent.parent
EXAMPLES = PROJECT / "docs" / "examples"
PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")])
FENCE = re.compile(
    r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
READY = re.compile(r"inSIM sandbox ready at (\S+) login=(\S+) access_key=(\S+)")
DOCUMENTED = "http://127.0.0.1:8080"
STARTED = 60.0
"""Seconds that an app may take to start on a busy machine, before it answers."""


class Fenced(NamedTuple):
    """A fenced block of a page, and what a ``text`` block right behind it says that it prints."""

    kind: str
    text: str
    line: int
    output: str


def fenced(page: Path) -> list[Fenced]:
    text = page.read_text("utf-8")
    return [
        Fenced(
            match["kind"],
            match["text"],
            text.count("\n", 0, match.start()) + 2,
            match["output"] or "",
        )
        for match in FENCE.finditer(text)
    ]


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each command that a page shows, as it is pasted, and the output shown for it."""
    for block in fenced(page):
        if block.kind == "shell":
            *others, last = block.text.splitlines()
            yield from ((command, "") for command in others)
            yield last, block.output


def same(shown: str, printed: str) -> bool:
    """Say whether ``printed`` is what a page has ``shown``, where three dots stand for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def page_name(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


@contextmanager
def process(
    *command: str, pass_fds: Sequence[int] = (), cwd: Path = PROJECT
) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
    ) as running:
        try:
            yield running
        finally:
            running.terminate()


class Server(NamedTuple):
    """A sandbox in a process of its own."""

    url: str
    ready: str
    login: tuple[str, str]

    def order(self, **fault: object) -> None:
        url = f"{self.url}/_sandbox/faults"
        httpx.post(url, json=fault, auth=self.login).raise_for_status()

    def sent(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = httpx.get(f"{self.url}/_sandbox/state").json()["messages"]
        return messages


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """Start a sandbox, and let the environment name it as the tutorial says.

    What examples write is thrown away.
    """
    with process("-m", "insim_async.sandbox", "--port", "0") as running:
        assert running.stdout is not None
        ready = running.stdout.readline()
        found = READY.match(ready)
        assert found is not None
        for name, value in zip(("BASE_URL", "LOGIN", "ACCESS_KEY"), found.groups(), strict=True):
            monkeypatch.setenv(f"INSIM_{name}", value)
        (tmp_path / "docs").symlink_to(PROJECT / "docs")
        monkeypatch.chdir(tmp_path)
        yield Server(found[1], ready, (found[2], found[3]))


def run_block(runner: asyncio.Runner, block: Fenced, page: str, names: dict[str, Any]) -> None:
    """Run a block as ``python -m asyncio`` would: ``await`` may stand outside of functions."""
    source = "\n" * (block.line - 1) + block.text
    # Without what is imported from the future here, as a reader's prompt has it.
    code = compile(source, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if (result := eval(code, names)) is not None:
        runner.run(result)


def exported(text: str, sandbox: Server) -> dict[str, str]:
    """Paste into a shell what sets the environment, and return what it sets.

    A sandbox elsewhere stands in for the page's.
    """
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("export ") or "webhooks secret" in line
    ]
    shown = "python -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    script = "\n".join([*lines, shown]).replace(DOCUMENTED, sandbox.url)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["sh", "-euc", script], env=os.environ | {"PATH": path}, capture_output=True, check=True
    )
    variables: dict[str, str] = json.loads(run.stdout)
    return {name: value for name, value in variables.items() if name.startswith("INSIM_")}


def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it to the page to set the environment."""
    for name in [name for name in os.environ if name.startswith("INSIM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(block.kind == "python" for block in fenced(page))],
    ids=page_name,
)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, sandbox: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page share their names, and the environment that its commands set.

    A page that does not start the sandbox is read after one that does.
    """
    if any("insim_async.sandbox" in command for command, _ in commands(page)):
        unset(monkeypatch)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in fenced(page):
        if block.kind == "shell":
            for name, value in exported(block.text, sandbox).items():
                monkeypatch.setenv(name, value)
        if block.kind == "python":
            with asyncio.Runner() as runner:
                run_block(runner, block, page_name(page), names)
            printed = capsys.readouterr().out
            assert not block.output or same(block.output, printed), printed
    for left in [value for value in names.values() if isinstance(value, Inbox | Campaign)]:
        left.close()  # as the end of a console would


def readme() -> Iterator[tuple[str, Fenced]]:
    """Yield each program of the README and what is pasted into a shell before it."""
    pasted = ""
    for block in fenced(PROJECT / "README.md"):
        if block.kind == "shell":
            pasted += block.text
        else:
            yield pasted, block


@pytest.mark.parametrize(("pasted", "block"), [*readme()], ids=["send", "campaign", "hooks"])
def test_each_block_of_the_readme_is_a_program(
    pasted: str, block: Fenced, sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset(monkeypatch)
    environment = os.environ | exported(pasted, sandbox)
    run = subprocess.run(
        [sys.executable, "-c", block.text], env=environment, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert not block.output or same(block.output, run.stdout), run.stdout


def hooks() -> tuple[str, str]:
    """Return the README's webhook app, and what is pasted into a shell before it."""
    ((pasted, block),) = [
        (pasted, block) for pasted, block in readme() if "WebhookRouter" in block.text
    ]
    return block.text, pasted


async def test_the_readme_serves_its_webhooks(
    sandbox: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, pasted = hooks()
    found = re.search(
        r"Save it as `(\S+)`, run `(uvicorn .+?)`", (PROJECT / "README.md").read_text("utf-8")
    )
    assert found is not None
    tmp_path.joinpath(found[1]).write_text(code, "utf-8")
    for name, value in exported(pasted, sandbox).items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        command = (
            "-m",
            *found[2].split(),
            "--app-dir",
            str(tmp_path),
            "--fd",
            str(listener.fileno()),
        )
        with process(*command, "--log-level", "warning", pass_fds=[listener.fileno()]):
            query = build_webhook(IncomingSms(phone_number="+33639980001", message="Bonjour !"))
            url = f"http://{host}:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=STARTED) as inside:
                answer = await inside.get(f"/{os.environ['INSIM_WEBHOOK_SECRET']}?{query}")
    assert answer.status_code == 200


@pytest.mark.parametrize("app", ["README.md", "webhooks_aiohttp.py", "webhooks_fastapi.py"])
def test_an_app_without_its_secret_says_how_to_make_one(
    app: str, sandbox: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INSIM_WEBHOOK_SECRET", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    command = ["-c", hooks()[0]] if app == "README.md" else [str(EXAMPLES / app)]
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith("insim_async.errors.ConfigurationError: secret: it is missing"), last
    assert "python -m insim_async.webhooks secret makes one" in last


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_can_be_pasted_into_any_shell(page: Path) -> None:
    """No prompt stands before and no comment behind them, which an interactive zsh would run."""
    assert {block.kind for block in fenced(page)} & {"bash", "console", "sh", "zsh"} == set()
    shown = [command for command, _ in commands(page)]
    assert [command for command in shown if command.startswith(("$", "%", ">"))] == []
    assert [
        command for command in shown if shlex.split(command) != shlex.split(command, comments=True)
    ] == []


def test_before_there_is_an_environment_python_is_python3() -> None:
    shown = [command for page in PAGES for command, _ in commands(page) if "-m venv" in command]
    assert shown != []
    assert [command for command in shown if not command.startswith("python3 -m venv .venv")] == []


RUN_BY_NAME = [
    (page, command, shown)
    for page in PAGES
    for command, shown in commands(page)
    if command.startswith("python docs/examples/")
    and not re.search("_app|webhooks_|outbox_", command)
]


@pytest.mark.parametrize(
    ("page", "command", "shown"), RUN_BY_NAME, ids=lambda value: str(value)[-40:]
)
def test_an_example_prints_what_the_page_shows(
    page: Path, command: str, shown: str, sandbox: Server
) -> None:
    run = subprocess.run([sys.executable, *command.split()[1:]], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert same(shown, run.stdout), run.stdout


def test_the_sandbox_announces_itself_as_the_pages_show(sandbox: Server) -> None:
    shown = [
        output
        for page in PAGES
        for command, output in commands(page)
        if "insim_async.sandbox" in command
    ]
    assert {output for output in shown if output} == {
        sandbox.ready.replace(sandbox.url, DOCUMENTED)
    }


def test_the_pages_set_the_environment_that_the_sandbox_asks_for(sandbox: Server) -> None:
    exports = [
        command.split()[1:]
        for page in PAGES
        for command, _ in commands(page)
        if command.startswith("export")
    ]
    plain = [
        setting for settings in exports for setting in settings if "=$(" not in " ".join(settings)
    ]
    shown = {tuple(setting.split("=", 1)) for setting in plain}
    needed = {(name, value) for name, value in os.environ.items() if name.startswith("INSIM_")}
    assert {(name, value.replace(DOCUMENTED, sandbox.url)) for name, value in shown} == needed


def awaits(code: str) -> bool:
    """Say whether code has ``await`` or the like at its margin, outside of functions."""
    try:
        compile(code, "", "exec")
    except SyntaxError:
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_await_at_the_margin_is_explained_where_it_first_stands(page: Path) -> None:
    blocks = [block for block in fenced(page) if block.kind == "python" and awaits(block.text)]
    lines = page.read_text("utf-8").splitlines()
    before = " ".join(lines[: blocks[0].line if blocks else 0])
    assert not blocks or re.search(r"`await`.* `python -m asyncio`|`python -m asyncio`", before)


def typed(code: str) -> Iterator[str]:
    """Yield what a console does not understand of code that is pasted into it, line by line."""
    understand, given = codeop.CommandCompiler(), ""
    understand.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for line in [*code.splitlines(), ""]:
        given = f"{given}\n{line}" if given else line
        try:
            is_whole = understand(given) is not None
        except SyntaxError:
            yield line
            is_whole = True
        given = "" if is_whole else given


def test_what_no_console_takes_is_found() -> None:
    assert list(typed("for each in range(3):\n    print(each)\nprint('Done')")) == ["print('Done')"]
    assert list(typed("for each in range(3):\n    print(each)\n\nawait done()")) == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_what_is_for_a_console_can_be_pasted_into_it(page: Path) -> None:
    """Before 3.13 a block ends at an empty line there, and nowhere else."""
    blocks = [block.text for block in fenced(page) if block.kind == "python"]
    pasted = blocks if any(map(awaits, blocks)) else []
    assert [line for block in pasted for line in typed(block)] == []


INDEXES = sorted((PROJECT / "docs").glob("*/index.md"))


@pytest.mark.parametrize("index", INDEXES, ids=page_name)
def test_an_index_says_of_each_of_its_pages_what_it_is_for(index: Path) -> None:
    text = index.read_text("utf-8")
    said = re.findall(r"^- \[\]\((.+)\.md\): .+\.$", text, re.MULTILINE)
    listed = text.partition(":hidden:")[2].strip(" `\n").split()
    assert said == listed
    assert {*listed} == {page.stem for page in index.parent.glob("*.md")} - {"index"}


def test_every_figure_is_on_the_page_and_has_a_heading() -> None:
    figures = tomllib.loads((PROJECT / "docs/explanation/performance.toml").read_text("utf-8"))
    page = (PROJECT / "docs/explanation/performance.md").read_text("utf-8")
    shown = re.findall(r"^```\{figures\} (\w+)\n```$", page, re.MULTILINE)
    assert sorted(shown) == sorted(figures["tables"])
    assert re.findall(r"^```\{measured\} (\w+)\n```$", page, re.MULTILINE) == [*figures["measured"]]
    for table in figures["tables"].values():
        assert {*table["columns"]} <= {*figures["headings"]}
        known = {"id", "plot", *figures["headings"]}
        assert [row for row in table["rows"] if not {*row} <= known] == []


def test_the_chores_that_the_pages_name_exist() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"nox -s (\w+)", page.read_text("utf-8"))
    }
    defined = re.findall(
        r"^@nox\.session.*\ndef (\w+)", (PROJECT / "noxfile.py").read_text("utf-8"), re.MULTILINE
    )
    assert named <= set(defined)
    assert {"demo", "tests"} <= named


def test_the_front_door_opens_with_an_example_that_runs(sandbox: Server) -> None:
    source = re.search(r"::\n\n((?:    .*\n|\n)+)", f"{insim_async.__doc__}\n")
    assert source is not None
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source[1])], capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert sandbox.sent() != []


@pytest.mark.parametrize(
    ("fault", "number", "said"),
    [
        ({"lose_answer": True}, "+33639980001", "show it to somebody"),
        ({"status": 400}, "+33639980001", "inSIM said no"),
        ({}, "+33639980001", "sent"),
        ({}, "", "mend the phone_number"),
    ],
    ids=["unknown", "refused", "sent", "invalid"],
)
def test_the_four_endings_are_told_apart(
    fault: dict[str, object], number: str, said: str, sandbox: Server
) -> None:
    sandbox.order(**fault, path="sendsms")
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / "decide.py"), number],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(said)


def test_what_never_left_goes_back_into_the_queue(
    monkeypatch: pytest.MonkeyPatch, sandbox: Server
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("INSIM_BASE_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    command = [sys.executable, str(EXAMPLES / "decide.py"), "+33639980001"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("put it back into the queue")


BOOKINGS: list[tuple[dict[str, object], str, str, int, str]] = [
    ({}, "A1", "+33639980001", 201, "sent"),
    ({"status": 400}, "A1", "+33639980001", 201, "not sent"),
    ({"lose_answer": True}, "A1", "+33639980001", 201, "perhaps sent"),
    ({}, "A1", "12", 422, "Please check the phone number."),
    ({}, "not an id", "+33639980001", 201, "not sent"),
]


def sentence(answer: httpx.Response) -> str:
    """Return what an answer says: the one value of its object, or its text."""
    if answer.headers["Content-Type"].startswith("application/json"):
        (said,) = answer.json().values()
        return str(said)
    return answer.text


async def book(url: str, sandbox: Server) -> None:
    """Book at a running app, once for each way in which its SMS may end.

    Customers see no words of an error, which are for developers.
    """
    async with httpx.AsyncClient(base_url=url, timeout=STARTED) as client:
        for fault, reference, phone_number, status, said in BOOKINGS:
            if fault:
                sandbox.order(**fault)
            response = await client.post(
                "/bookings", json={"reference": reference, "phone_number": phone_number}
            )
            assert (response.status_code, sentence(response)) == (status, said)
    assert [sms["sms_id"] for sms in sandbox.sent()] == ["booking-A1", "booking-A1"]


async def test_the_fastapi_app_serves_bookings(sandbox: Server) -> None:
    """Connections wait in the backlog until the app has started."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        number = str(listener.fileno())
        command = ("-m", "uvicorn", "--app-dir", "docs/examples", "fastapi_app:app", "--fd", number)
        with process(*command, "--log-level", "warning", pass_fds=[listener.fileno()]) as running:
            await book(f"http://{host}:{port}", sandbox)
    assert running.returncode in {0, -signal.SIGTERM}


async def test_the_aiohttp_app_serves_bookings(sandbox: Server) -> None:
    from aiohttp.test_utils import TestServer

    async with TestServer(load("aiohttp_app").create_app()) as server:
        await book(str(server.make_url("")), sandbox)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCOPE = "asyncio_default_fixture_loop_scope = function"
PLUGINS = {
    "anyio alone": (
        "",
        ["-p", "anyio", "-p", "insim_async.testing.plugin"],
        {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    ),
    "pytest-asyncio, strict": (f"asyncio_mode = strict\n{SCOPE}", [], {}),
    "pytest-asyncio, auto": (f"asyncio_mode = auto\n{SCOPE}", [], {}),
}
OF_PYTEST_ASYNCIO = {"test_fastapi_app.py"}


@pytest.mark.parametrize("plugins", PLUGINS)
def test_the_tests_of_the_how_tos_pass_where_a_reader_saves_them(
    plugins: str, tmp_path: Path
) -> None:
    """Whichever plugin the reader's project lets run its tests."""
    setting, options, environment = PLUGINS[plugins]
    tmp_path.joinpath("pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{setting}\n")
    skipped = OF_PYTEST_ASYNCIO if plugins == "anyio alone" else set()
    for path in EXAMPLES.glob("*.py"):
        if path.name not in skipped:
            shutil.copy(path, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    run = subprocess.run(
        command, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout
    assert re.search(r"^[1-9]\d* passed in", run.stdout, re.MULTILINE)


def test_every_example_is_shown_on_a_page() -> None:
    included = {
        name
        for page in PAGES
        for name in re.findall(r"\{literalinclude\} \S*examples/(\S+)", page.read_text("utf-8"))
    }
    assert included == {path.name for path in EXAMPLES.glob("*.py")} - {"demo.py"}


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^):]+)\)", (PROJECT / "README.md").read_text("utf-8"))
    assert [link for link in links if not (PROJECT / link).is_file()] == []
