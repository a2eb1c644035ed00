"""The signed card of a block (RFC 8688 §3.2): a jCard (RFC 7095) in a JSON Web Signature (RFC 7515).

It tells whom to turn to, and the appeal code; nothing of why, which the console does not look up either. So
it is made on demand (§6), and `iat` is the time of that instead of the 608's (§3.2.2), which follows at once:
a reader refuses a card that is older than about a minute (§3.3).
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from engine.model.config import RedressSection

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-5): private keys are 1 to one less."""
_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
_VALID: Final = timedelta(days=365 * 30)
CERTIFICATE: Final = "certificate.pem"


class Cards:
    """Signs by ES256, which all readers know (§3.2.1), with a key made from the deployment's seed."""

    def __init__(self, seed: bytes, redress: RedressSection) -> None:
        number = int.from_bytes(hashlib.sha512(b"card|" + seed).digest()) % (_ORDER - 1) + 1
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        self._redress = redress
        self.offered = bool(redress.cards)
        """Without an address for `x5u`, or anybody to turn to, a card would be none."""
        header = {"alg": "ES256", "typ": "vcard+json", "x5u": redress.cards + CERTIFICATE}
        self._header = _encode(msgspec.json.encode(header))

    def card(self, code: str, at: datetime) -> str:
        """The card for one appeal code, in compact form (media type application/jose); `at` is now."""
        payload = {"iat": int(at.timestamp()), "jcard": self._jcard(code)}
        signed = f"{self._header}.{_encode(msgspec.json.encode(payload))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_encode(r.to_bytes(32) + s.to_bytes(32))}"  # RFC 7518 §3.4

    def certificate(self) -> bytes:
        """PEM of our self-signed certificate; who wants another trust anchor signs the same key elsewhere."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._redress.organisation[:64])])
        public = self._key.public_key()
        builder = x509.CertificateBuilder(name, name, public, serial_number=1)
        builder = builder.not_valid_before(_FROM).not_valid_after(_FROM + _VALID)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _jcard(self, code: str) -> list[Any]:
        """At least one of URL, EMAIL and TEL is in it (§3.2.2), or there are no cards."""
        redress = self._redress
        rows: list[list[Any]] = [["version", {}, "text", "4.0"], ["fn", {}, "text", redress.organisation]]
        rows.append(["kind", {}, "text", "org"])
        if redress.tel:
            rows.append(["tel", {"type": "voice"}, "uri", f"tel:{redress.tel}"])
        if redress.email:
            rows.append(["email", {}, "text", redress.email])
        if redress.url:
            rows.append(["url", {}, "uri", f"{redress.url}?code={code}"])
        rows.append(["note", {}, "text", code])
        return ["vcard", rows]


def _encode(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
