"""Certificates, good and bad."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import trustme

HOST = "gateway.test"


class Pki(NamedTuple):
    """What clients trust, and files with keys and certificates for servers."""

    trust: ssl.SSLContext
    good: str
    self_signed: str
    untrusted: str
    other_host: str
    expired: str


def make_pki(folder: Path) -> Pki:
    """Make an authority that the clients trust, one that they do not, and let both sign."""
    authority, stranger = trustme.CA(), trustme.CA()
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def keep(name: str, *parts: trustme.Blob) -> str:
        path = folder / f"{name}.pem"
        path.write_bytes(b"".join(part.bytes() for part in parts))
        return str(path)

    def issue(name: str, issuer: trustme.CA, host: str, **details: Any) -> str:
        return keep(
            name,
            issuer.issue_cert(host, "localhost", HOST, **details).private_key_and_cert_chain_pem,
        )

    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return Pki(
        trust=trust,
        good=issue("good", authority, "127.0.0.1"),
        self_signed=keep("self-signed", stranger.private_key_pem, stranger.cert_pem),
        untrusted=issue("untrusted", stranger, "127.0.0.1"),
        other_host=issue("other-host", authority, "127.0.0.2"),
        expired=issue("expired", authority, "127.0.0.1", not_after=yesterday),
    )
