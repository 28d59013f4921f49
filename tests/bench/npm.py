"""The vendor's npm package, unmodified, in a Node process that takes orders over a pipe."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .timing import Lap

PACKAGE = "insim-api@1.0.3"
NODE_MODULES = "INSIM_BENCH_NODE_MODULES"
_HERE = Path(__file__).parent / "node"


class Npm:
    """Starts Node when first asked, and installs the package if it has to.

    The package is installed into a temporary directory.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._process: subprocess.Popen[bytes] | None = None
        self._missing = "" if shutil.which("node") else "node is not installed"

    def missing(self) -> str:
        """Say why the package cannot be had; empty if it can."""
        if not self._missing and self._process is None:
            try:
                self._start()
            except (OSError, subprocess.SubprocessError) as error:
                self._missing = f"npm install failed: {type(error).__name__}"
        return self._missing

    async def lap(self, url: str, **order: Any) -> Lap:
        """Send for ``seconds`` with ``tasks``, or as many messages as an order says.

        That is ``each`` by each of ``tasks``, or ``count`` in batches of ``size``.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            msgspec.json.encode({"port": urlsplit(url).port, **order}) + b"\n"
        )
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Lap)

    def _start(self) -> None:
        package = Path(os.environ.get(NODE_MODULES) or self._install()).resolve() / "insim-api"
        self._process = self._stack.enter_context(
            subprocess.Popen(
                ["node", "-r", _HERE / "redirect.cjs", _HERE / "drive.cjs", package],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )

    def _install(self) -> Path:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        command = [
            "npm",
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            folder,
            PACKAGE,
        ]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)
        return Path(folder) / "node_modules"
