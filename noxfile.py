"""The chores of this project: ``nox -l`` lists them.

Plain ``nox`` runs those that a change must pass, on one Python.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "no" if os.environ.get("CI") else "yes"

PYTHONS = ("3.11", "3.12", "3.13")
# On this one the tests are complete and their coverage counts; on the others it is enough that they
# pass.
COVERED = os.environ.get("COVERED_PYTHON", PYTHONS[0])
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = [f"tests-{COVERED}", "minimal", "lowest", "typing", "lint", "docs", "demo"]
# The commands that pyenv puts on the path run those versions only that are asked for.
pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
found = [max(pyenv.glob(f"{python}.*"), default=None) for python in PYTHONS]
os.environ.setdefault("PYENV_VERSION", ":".join([path.name for path in found if path] + ["system"]))

PROJECT = nox.project.load_toml("pyproject.toml")
AXE = "axe-core@4.14.1"
EXTRAS = ".[aiohttp,phone,sandbox,testing,xlsx]"


def group(*names: str) -> tuple[str, ...]:
    """Return the packages of the groups, as pyproject.toml has them."""
    return nox.project.dependency_groups(PROJECT, *names)


# The tests run against the installed package: the working directory stays off the path, and pytest
# puts it behind the installed packages, where ``tests`` is found and the sources are not. Each
# processor takes its part of them.
INSTALLED = {"PYTHONSAFEPATH": "1"}
PYTEST = ("-m", "pytest", "--import-mode=append", "--numprocesses=auto", "--dist=worksteal")
# What takes long, since it starts processes, and is the same on any Python.
ELSEWHERE = ("--ignore=tests/faults", "--ignore=tests/test_docs.py", "--ignore=tests/test_demo.py")


def install(session: nox.Session, *packages: str) -> None:
    """Install ``packages``, the project itself always from its present files."""
    fresh = ["--reinstall-package", "insim_async"] if session.venv_backend == "uv" else []
    session.install(*fresh, *packages)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests: on 3.11 all of them, elsewhere all but those of network, docs and demo.

    On 3.11 they must cover all lines and branches.
    """
    install(session, EXTRAS, *group("tests", "examples"))
    if session.python != COVERED:
        session.run("python", *PYTEST, *ELSEWHERE, *session.posargs, env=INSTALLED)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", *PYTEST, *session.posargs, env=INSTALLED)
    session.run("coverage", "combine", "--quiet")
    if not session.posargs and (files := with_gaps(session)):
        # Python 3.11 now and then loses the trace of a coroutine: what is a gap is one again.
        session.run("coverage", "run", *PYTEST, *files, env=INSTALLED)
        session.run("coverage", "combine", "--quiet", "--append")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


def with_gaps(session: nox.Session) -> list[str]:
    """Return the files of tests in which a line or a branch was not reached."""
    found = Path(session.create_tmp()) / "coverage.json"
    session.run("coverage", "json", "--quiet", "--fail-under=0", "-o", str(found))
    files = json.loads(found.read_text())["files"].items()
    gaps = [Path(name) for name, file in files if file["summary"]["percent_covered"] < 100]
    return [str(path) for path in gaps if path.parts[0] == "tests" and path.match("test_*.py")]


@nox.session
def minimal(session: nox.Session) -> None:
    """Run the tests that need no extra, with no extra installed.

    Those of network, docs and demo are left out: what they do is the same with any extra.
    """
    install(session, ".", *group("tests"))
    session.run(
        "python",
        *PYTEST,
        "-m",
        "not extra",
        *ELSEWHERE,
        *session.posargs,
        env=INSTALLED,
    )


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that the metadata allows."""
    extras = PROJECT["project"]["optional-dependencies"]
    direct = [
        *PROJECT["project"]["dependencies"],
        *extras["aiohttp"],
        *extras["phone"],
        *extras["sandbox"],
        *extras["xlsx"],
    ]
    newer = {"httpx-aiohttp", "pytest-httpx"}  # they need a newer aiohttp, and a newer httpx
    tested_with = [package for package in group("tests", "examples") if package not in newer]
    install(session, EXTRAS, *tested_with, *(bound.replace(">=", "==") for bound in direct))
    session.run("python", *PYTEST, *session.posargs, env=INSTALLED)


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of all code, and that every public name of the package has one."""
    install(session, EXTRAS, *group("tests", "examples", "peers", "browser", "typing"))
    session.run("mypy")
    session.run("pyright", "insim_async", "docs/examples")
    # Away from the sources: the installed package is judged.
    with session.chdir(session.create_tmp()):
        session.run("pyright", "--verifytypes", "insim_async", "--ignoreexternal")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style; ``nox -s lint -- --fix`` mends what can be mended."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if session.posargs else ["--check"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html."""
    install(session, EXTRAS, *group("docs"))
    session.run(
        "sphinx-build", "-W", "-n", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"
    )
    session.log("file://%s", Path("docs/_build/html/index.html").resolve())


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the documentation in a real browser, which comes from Debian if there is none.

    In light and dark, wide and narrow; with axe-core, which finds what keeps people out.
    """
    chromium = shutil.which("chromium") or installed_by_apt(session, "chromium")
    axe = Path(session.create_tmp()).resolve()
    session.run("npm", "install", "--silent", "--prefix", str(axe), AXE, external=True)
    docs(session)
    session.install(*group("tests", "browser"))
    found = {"CHROMIUM": chromium, "AXE": str(axe / "node_modules" / "axe-core" / "axe.min.js")}
    files = ("-o", "python_files=check_*.py", "tests/browser")
    session.run("python", *PYTEST, *files, *session.posargs, env={**INSTALLED, **found})


def installed_by_apt(session: nox.Session, package: str) -> str:
    """Install a program of Debian, and return its path."""
    session.run("apt-get", "update", "--quiet", external=True, silent=True)
    session.run("apt-get", "install", "--yes", "--quiet", package, external=True, silent=True)
    return shutil.which(package) or session.error(f"apt-get did not bring {package}")


@nox.session
def demo(session: nox.Session) -> None:
    """Run a campaign on a local sandbox, killed half-way: no account needed."""
    install(session, EXTRAS, "rich")
    session.run("python", "docs/examples/demo.py", *session.posargs)


@nox.session
def sandbox(session: nox.Session) -> None:
    """Play inSIM on this machine, with the phone in the browser at the address that it says.

    ``nox -s sandbox -- [options]``.
    """
    install(session, ".[sandbox]")
    session.run("python", "-m", "insim_async.sandbox", *session.posargs)


@nox.session
def explore(session: nox.Session) -> None:
    """Look for what nobody thought of, at random: ``nox -s explore -- [messages] [seed]``.

    It ends at the first find.
    """
    messages, seed = [
        *session.posargs,
        *["20000", str(secrets.randbelow(1_000_000))][len(session.posargs) :],
    ]
    install(session, EXTRAS, *group("tests", "examples"))
    session.log(f"the seed is {seed}")
    chance = (
        "--hypothesis-profile=explore",
        f"--hypothesis-seed={seed}",
        "-m",
        "hypothesis or seeded",
    )
    session.run("python", *PYTEST, *chance, env={**INSTALLED, "INSIM_FAULTS_SEED": seed})
    session.run("python", "-m", "tests.explore", messages, "--seed", seed)


@nox.session
def chaos(session: nox.Session) -> None:
    """Attack for long what must survive it.

    ``nox -s chaos -- webhooks [kills]``, ``-- campaigns [campaigns]``, ``-- outbox [kills]``.
    """
    install(session, EXTRAS, *group("tests", "examples"))
    session.run("python", "-m", "tests.chaos", *(session.posargs or ["webhooks"]))


@nox.session
def peers(session: nox.Session) -> None:
    """Let the vendor's own clients and documented receivers work against the sandbox.

    It needs npm; curl and php are used where they are.
    """
    install(session, EXTRAS, "flask", "httpie", "requests")
    session.run("python", "-m", "tests.peers")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this package against its peers."""
    install(session, EXTRAS, *group("tests", "examples", "peers"))
    session.run("python", "-m", "tests.bench", *session.posargs)
