"""The AEAD slot of a capture: AES-256-GCM, or nothing in the same place.

The caller's key is never used on audio directly: each file derives its own from a random salt (HKDF-SHA256),
so handing the same key to two recordings cannot repeat a nonce. The nonce is the chunk number; the associated
data is the digest of the file header followed by the chunk header.
"""

from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recordings.errors import KeyRequired, WrongKey

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
TAG_BYTES: Final = 16

PLAIN: Final = "none"
AES_256_GCM: Final = "aes-256-gcm"

_NO_TAG: Final = bytes(TAG_BYTES)
# Chunk numbers have 32 bits; this nonce is out of their reach and seals the file header.
_HEADER_NONCE: Final = b"\xff" * 12


class Seal(Protocol):
    """Turns a chunk's payload into what is stored (payload and 16-byte tag) and back."""

    def header_tag(self, header: bytes) -> bytes: ...
    def close(self, number: int, associated: bytes, payload: bytes) -> bytes: ...
    def open(self, number: int, associated: bytes, body: bytes) -> bytes: ...


class PlainSeal:
    """Cipher "none": the slot stays empty."""

    def header_tag(self, header: bytes) -> bytes:
        return _NO_TAG

    def close(self, number: int, associated: bytes, payload: bytes) -> bytes:
        return payload + _NO_TAG

    def open(self, number: int, associated: bytes, body: bytes) -> bytes:
        return body[:-TAG_BYTES]


class AesGcmSeal:
    """Cipher "aes-256-gcm" under the key derived for one file."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a capture key has {KEY_BYTES} bytes, got {len(key)}")
        derived = HKDF(SHA256(), KEY_BYTES, salt, b"ringward capture file key").derive(key)
        self._aead = AESGCM(derived)

    def header_tag(self, header: bytes) -> bytes:
        return self._aead.encrypt(_HEADER_NONCE, b"", header)

    def close(self, number: int, associated: bytes, payload: bytes) -> bytes:
        return self._aead.encrypt(number.to_bytes(12, "big"), payload, associated)

    def open(self, number: int, associated: bytes, body: bytes) -> bytes:
        try:
            return self._aead.decrypt(number.to_bytes(12, "big"), body, associated)
        except InvalidTag:
            raise WrongKey(f"chunk {number} does not open with this key") from None

    def check(self, header: bytes, tag: bytes) -> None:
        """Raise WrongKey unless `tag` is what this key makes of the file header."""
        try:
            self._aead.decrypt(_HEADER_NONCE, tag, header)
        except InvalidTag:
            raise WrongKey("the key does not open this recording") from None


class Locked:
    """Stands in for the seal of an encrypted capture opened without its key."""

    def header_tag(self, header: bytes) -> bytes:
        raise KeyRequired("the recording is encrypted: its key is needed to write to it")

    def close(self, number: int, associated: bytes, payload: bytes) -> bytes:
        raise KeyRequired("the recording is encrypted: its key is needed to write to it")

    def open(self, number: int, associated: bytes, body: bytes) -> bytes:
        raise KeyRequired("the recording is encrypted: its key is needed to hear it")
