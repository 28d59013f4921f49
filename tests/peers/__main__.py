"""Let the vendor's clients send to a sandbox, and its documented receivers get the webhooks.

``nox -s peers`` installs what Python and npm have; what else is missing is said.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
REDIRECT = HERE.parent / "bench" / "node" / "redirect.cjs"
LOGIN = ("demo@example.com", "demo-key")
HEADER = {"login": LOGIN[0], "accessKey": LOGIN[1]}
NUMBER = "+33639980001"
SMS = {"phone_number": NUMBER, "message": "Bonjour [Lien_Tracking]", "url": "https://example.com/"}
SENDS = {"header": HEADER, "messages": [SMS]}
ADDS: dict[str, Any] = {
    "header": HEADER,
    "contacts": [{"firstname": "Zoé", "lastname": "Roux", "phone_number": NUMBER}],
}
CALLS = {"header": {**HEADER, "type": "clicToCall", "phone_number": NUMBER}}
NPM = """
const { sendSMS, addContacts, callNumber } = require(process.argv[1]);
const [config, sms, contact] = JSON.parse(process.argv[2]);
(async () => {
  const said = [await sendSMS(config, [sms]), await addContacts(config, [contact])];
  console.log(JSON.stringify([...said, await callNumber(config, sms.phone_number)]));
})();
"""
REQUESTS = """
import json, sys, requests
base, *bodies = sys.argv[1:]
for path, body in zip(["sendsms", "contact", "clicTocall"], bodies):
    print(json.dumps(requests.post(f"{base}/api/v1/{path}", json=json.loads(body)).json()))
"""


class Sandbox:
    """A sandbox in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, **what: object) -> None:
        httpx.post(f"{self.url}/_sandbox/{path}", json=what, auth=LOGIN).raise_for_status()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = httpx.get(f"{self.url}/_sandbox/state").json()
        return state


@contextmanager
def running_sandbox() -> Iterator[Sandbox]:
    command = [sys.executable, "-m", "insim_async.sandbox", "--port", "0", "--until-eof"]
    soon = ["--sent-after", "0", "--received-after", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *soon], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield Sandbox(process.stdout.readline().split()[4])


# Senders -----------------------------------------------------------------------------------------


def senders(url: str, modules: Path | None) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each client's name and the commands that send an SMS, add a contact and call."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("sendsms", SENDS),
        ("contact", ADDS),
        ("clicTocall", CALLS),
    ]
    if shutil.which("curl"):
        kind = "Content-Type: application/json"
        curl = ["curl", "-sS", "-X", "POST", "-H", kind, "-d"]
        yield "curl", [[*curl, json.dumps(body), f"{url}/api/v1/{path}"] for path, body in bodies]
    if http := shutil.which("http"):
        plain = [http, "--ignore-stdin", "--body", "--pretty=none", "POST"]
        yield (
            "HTTPie",
            [
                [
                    *plain,
                    f"{url}/api/v1/{path}",
                    *(f"{name}:={json.dumps(value)}" for name, value in body.items()),
                ]
                for path, body in bodies
            ],
        )
    texts = [json.dumps(body) for _, body in bodies]
    yield "requests", [[sys.executable, "-c", REQUESTS, url, *texts]]
    if modules is not None:
        told = json.dumps([HEADER, SMS, ADDS["contacts"][0]])
        package = str(modules / "insim-api")
        yield "npm insim-api", [["node", "-r", str(REDIRECT), "-e", NPM, package, told]]


def check_sender(commands: Sequence[Sequence[str]], sandbox: Sandbox) -> list[str]:
    """Return what is wrong with what a client did."""
    sandbox.post("acts/forget_everything")
    port = sandbox.url.rpartition(":")[2]
    said = ""
    for command in commands:
        run = subprocess.run(
            command, env=os.environ | {"BENCH_PORT": port}, capture_output=True, text=True
        )
        if run.returncode:
            return [run.stderr.strip().splitlines()[-1]]
        said += run.stdout
    counts = sandbox.state()["counts"]
    found = {name: counts[name] for name in ("messages", "contacts", "calls", "requests")}
    expected = {"messages": 1, "contacts": 1, "calls": 1, "requests": 3}
    wrong = [] if found == expected else [f"the sandbox counted {found}"]
    expected_words = ('"sent":1', '"result":"success"', "please make sure the phone is connected")
    said = said.replace('": ', '":')
    return wrong + [f"it did not get {words}" for words in expected_words if words not in said]


# Receivers ---------------------------------------------------------------------------------------


def receivers(port: int, modules: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each kind of receiver, and the command that starts one."""
    at = HERE / "receivers"
    yield "Flask", [sys.executable, str(at / "flask_app.py"), str(port)]
    if php := shutil.which("php"):
        yield "PHP", [php, "-S", f"127.0.0.1:{port}", str(at / "receive.php")]
    if modules is not None:
        yield "Express", ["node", str(at / "express_app.cjs"), str(modules), str(port)]


def check_receiver(command: Sequence[str], port: int, sandbox: Sandbox) -> list[str]:
    """Let everything happen once; return what is wrong with what a receiver got."""
    sandbox.post("settings", callback="")
    sandbox.post("acts/forget_everything")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            _wait_for(port)
            sandbox.post("settings", callback=f"http://127.0.0.1:{port}/hook")
            httpx.post(f"{sandbox.url}/api/v1/sendsms", json=SENDS).raise_for_status()
            httpx.post(f"{sandbox.url}/api/v1/clicTocall", json=CALLS).raise_for_status()
            sandbox.post("acts/click")
            sandbox.post("acts/answer", seconds=61)
            sandbox.post("acts/miss_call", phone_number=NUMBER)
            sandbox.post("acts/leave_note", text="C'est noté : rappeler ~ 18 h !")
            sandbox.post(
                "acts/reply", phone_number=NUMBER, message="D'accord (1 + 1 = 2) & #merci 🙂"
            )
            webhooks = _all_delivered(sandbox)
        finally:
            process.terminate()
        got = [json.loads(line) for line in (process.stdout or []) if line.startswith("[")]
    if len(webhooks) != 7:
        return [f"{len(webhooks)} webhooks instead of 7"]
    wrong = [
        f"{webhook['kind']} ended {webhook['state']}: {webhook['tries']}"
        for webhook in webhooks
        if [each["status"] for each in webhook["tries"]] != [200]
    ]
    sent = [[each["query"].partition("=")[0], json.loads(each["payload"])] for each in webhooks]
    return wrong + [f"{each} did not arrive as it is" for each in sent if each not in got]


def _all_delivered(sandbox: Sandbox) -> list[Mapping[str, Any]]:
    under_way = {"ready", "under_way", "late"}
    for _ in range(200):
        webhooks: list[Mapping[str, Any]] = sandbox.state()["webhooks"]
        if len(webhooks) == 7 and not under_way & {webhook["state"] for webhook in webhooks}:
            break
        time.sleep(0.05)
    return webhooks


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# All ---------------------------------------------------------------------------------------------


def _installed(stack: ExitStack) -> Path | None:
    """Install what npm has, in a temporary folder; None where that cannot be done."""
    if not shutil.which("npm"):
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder]
    run = subprocess.run([*command, "insim-api@1.0.3", "express@4"], stdout=subprocess.DEVNULL)
    return Path(folder) / "node_modules" if run.returncode == 0 else None


def main() -> int:
    """Print a line for each client and receiver; return how many failed."""
    failed, seen = 0, set()
    with ExitStack() as stack:
        modules = _installed(stack)
        sandbox = stack.enter_context(running_sandbox())
        for name, commands in senders(sandbox.url, modules):
            failed += _say(f"{name} sends, adds and calls", check_sender(commands, sandbox))
            seen.add(name)
        port = _free_port()
        for name, command in receivers(port, modules):
            failed += _say(f"{name} gets seven webhooks", check_receiver(command, port, sandbox))
            seen.add(name)
    names = {"curl", "HTTPie", "requests", "npm insim-api", "Flask", "PHP", "Express"}
    for name in sorted(names - seen):
        print(f"missing  {name}")
    return failed


def _say(what: str, wrong: Sequence[str]) -> int:
    print(f"{'FAILED' if wrong else 'ok':<8} {what}", *wrong, sep="\n         ", flush=True)
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
