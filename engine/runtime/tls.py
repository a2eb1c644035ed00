"""Certificates of the TLS transport (RFC 3261 §26.3.1)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class TlsError(Exception):
    """A certificate, key or CA file cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Both roles of one end."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    names: Mapping[tuple[str, int], str] = field(default_factory=dict)
    """Address of a hop → the name its certificate must bear, also sent as SNI."""

    def name_of(self, remote: tuple[str, int]) -> str:
        """The name, or the address itself, which the certificate must then bear (RFC 5922 §7.1)."""
        return self.names.get(remote, remote[0])


def load_tls(
    certificate: Path,
    key: Path,
    ca: Path | None = None,
    *,
    verify_clients: bool = False,
    names: Mapping[tuple[str, int], str] | None = None,
) -> Tls:
    """Contexts for TLS 1.2 and 1.3; `ca` replaces the system's authorities. Raises TlsError.

    `verify_clients` refuses peers without a certificate of a known authority. Our own is shown to servers
    that ask for one.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ValueError) as error:
            raise TlsError(f"{certificate} with {key} cannot be used: {_plain(error)}") from None
        if ca is None:
            context.load_default_certs(
                ssl.Purpose.CLIENT_AUTH if context is server else ssl.Purpose.SERVER_AUTH
            )
            continue
        try:
            context.load_verify_locations(ca)
        except (OSError, ValueError) as error:
            raise TlsError(f"{ca} cannot be used: {_plain(error)}") from None
    if verify_clients:
        server.verify_mode = ssl.CERT_REQUIRED
    return Tls(server, client, names or {})


def _plain(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
