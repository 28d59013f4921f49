"""Whatever a caller gives: it arrives byte for byte, or is refused; and memory stays flat."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import anyio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from insim_async import Sms, Status
from insim_async.testing import InSimSandbox

NUMBER = "+33639980001"


@settings(max_examples=30)
@example([" ", "a"])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[\0"), min_size=1),
        max_size=20,
    )
)
def test_any_text_arrives_as_it_was_written(texts: list[str]) -> None:
    async def main() -> None:
        sandbox = InSimSandbox()
        insim = sandbox.client(batch_size=3)
        report = await insim.send_many(Sms(NUMBER, text) for text in texts)
        arrived = {sms.sms_id: sms.message for sms in sandbox.messages}
        for outcome, text in zip(report.outcomes, texts, strict=True):
            if outcome.receipt is None:
                assert (outcome.status, text.strip()) == (Status.NOT_SENT, "")
            else:
                assert arrived.pop(outcome.receipt.sms_id) == outcome.receipt.message == text
        assert not arrived

    anyio.run(main)


MILLIONS = """
    import anyio, httpx, msgspec, re
    from pathlib import Path
    from insim_async import AsyncInSim, Sms

    class Sent(msgspec.Struct):
        id_sms_api: str
        phone_number: str

    class Request(msgspec.Struct):
        messages: list[Sent]

    async def answer(request):
        sent = msgspec.json.decode(request.content, type=Request).messages
        return httpx.Response(200, content=msgspec.json.encode([
            {"id_sms_api": m.id_sms_api, "sms_per_message": 1, "user": "",
             "sent_time": "2025-10-29T10:16:10.541Z", "phone_number": m.phone_number,
             "message": "", "sent": 1} for m in sent
        ]))

    async def main():
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client,
            AsyncInSim(
                "me", "key", base_url="http://127.0.0.1", http_client=http_client, batch_size=500
            ) as insim,
        ):
            sent, peaks = 0, []
            messages = (Sms("+33639980001", f"Message {n}") for n in range(COUNT))
            async for outcome in insim.stream(messages):
                sent += outcome.receipt is not None
                if sent in (COUNT // 4, COUNT):
                    # not ru_maxrss, which a process takes over from the one that started it
                    status = Path("/proc/self/status").read_text()
                    peaks.append(int(re.search("VmHWM:[^0-9]+([0-9]+)", status)[1]) // 1024)
            print(sent, *peaks)

    anyio.run(main)
"""


def test_memory_stays_flat_however_many_there_are() -> None:
    """Set INSIM_TEST_STREAM=5000000 for the long version."""
    count = int(os.environ.get("INSIM_TEST_STREAM", "200000"))
    script = textwrap.dedent(MILLIONS).replace("COUNT", str(count))
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    sent, early, late = map(int, run.stdout.split())
    assert sent == count
    assert late < 150
    assert late - early < 10
