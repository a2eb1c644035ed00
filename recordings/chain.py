"""Who recorded and deleted what, so that nobody can change it unseen.

Each writing process keeps one file, `chain-WRITER.jsonl`, in the recordings folder: one line per deed, each
carrying the SHA-256 of the line before it (the first: of nothing). After each line its digest, the head, is
signed with Ed25519 and appended to a heads file that is kept elsewhere. A chain holds no telephone number.
"""

import enum
import fcntl
import hashlib
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Final, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from recordings.errors import RecordingError
from recordings.ids import check_name
from recordings.manifest import Manifest, encode_manifest
from recordings.places import heads_path, key_path, public_key_path

GENESIS: Final = hashlib.sha256(b"").hexdigest()


class Deed(enum.StrEnum):
    """What an entry records."""

    CLOSED = "closed"
    REPAIRED = "repaired"
    DELETED = "deleted"


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a chain. `file` is relative to the folder; `manifest` is the digest of its stored bytes."""

    seq: int
    at: datetime
    deed: Deed
    recording_id: str
    tenant: str
    call_id: str
    number_ids: tuple[str, str]
    file: str
    bytes: int
    sha256: str
    head: str
    manifest: str
    prev: str


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the heads file: entry `seq` of `writer` had the digest `head`."""

    writer: str
    seq: int
    head: str
    at: datetime
    signature: str

    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        text = f"ringward chain head 1\n{self.writer}\n{self.seq}\n{self.head}\n{self.at.isoformat()}"
        return text.encode()


def chain_path(folder: Path, writer: str) -> Path:
    """The chain file of one writer."""
    return folder / f"chain-{check_name('a chain writer', writer)}.jsonl"


def chained_ids(folder: Path) -> set[str]:
    """The ids of all recordings that any chain of the folder knows; unreadable lines are verify's affair."""
    ids = set()
    for path in folder.glob("chain-*.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                ids.add(msgspec.json.decode(line, type=Entry).recording_id)
    return ids


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key at `path` (PEM), made on first use: readable by its owner only, public half at `.pub`.

    RecordingError if the file is not such a key or others may read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _make_signing_key(path)
    key = _load_signing_key(path)
    if not public_key_path(path).exists():
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        public_key_path(path).write_bytes(public)
    return key


def _make_signing_key(path: Path) -> None:
    """Put a new key there whole; of two processes that start at once, the first one's stays."""
    key = Ed25519PrivateKey.generate()
    with NamedTemporaryFile(dir=path.parent) as out:  # readable by its owner only
        out.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        out.flush()
        os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(out.name, path)


def _load_signing_key(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise RecordingError(f"the signing key {path} is open to others: chmod 600 it")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        raise RecordingError(f"{path} is not a private key in PEM form") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise RecordingError(f"{path} is not an Ed25519 key")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """The Ed25519 public key at `path` (PEM); RecordingError, FileNotFoundError."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        raise RecordingError(f"{path} is not a public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise RecordingError(f"{path} is not an Ed25519 key")
    return key


class ChainWriter:
    """Appends to one writer's chain and signs its heads. One process owns a writer's name at a time.

    `heads` is a file outside the recordings folder, shared by all writers, `key` the signing key's file;
    both default to the folder `keys` beside it. RecordingError if another process holds the chain.
    """

    def __init__(
        self, folder: Path, writer: str, *, heads: Path | None = None, key: Path | None = None
    ) -> None:
        self.writer = writer
        self._heads = heads or heads_path(folder)
        self._key = signing_key(key or key_path(folder))
        folder.mkdir(parents=True, exist_ok=True)
        self._heads.parent.mkdir(parents=True, exist_ok=True)
        path = chain_path(folder, writer)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise RecordingError(f"another process is writing {path}") from None
        self._seq, self._prev = self._resume(path)

    def _resume(self, path: Path) -> tuple[int, str]:
        """Continue after the last whole line; a line cut short by a crash was never acknowledged."""
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._fd, whole)
        lines = data[:whole].split(b"\n")[:-1]
        return len(lines), hashlib.sha256(lines[-1] if lines else b"").hexdigest()

    def append(self, deed: Deed, manifest: Manifest, file: str, at: datetime) -> Entry:
        """Enter a deed, durable on return. `file` is the capture's path relative to the folder."""
        entry = Entry(
            seq=self._seq,
            at=at,
            deed=deed,
            recording_id=manifest.recording_id,
            tenant=manifest.tenant,
            call_id=manifest.call_id,
            number_ids=manifest.number_ids,
            file=file,
            bytes=manifest.bytes,
            sha256=manifest.sha256,
            head=manifest.head,
            manifest=hashlib.sha256(encode_manifest(manifest)).hexdigest(),
            prev=self._prev,
        )
        line = msgspec.json.encode(entry)
        os.write(self._fd, line + b"\n")
        os.fsync(self._fd)
        self._prev = hashlib.sha256(line).hexdigest()
        self._seq += 1
        self._sign(entry.seq, at)
        return entry

    def _sign(self, seq: int, at: datetime) -> None:
        unsigned = Head(writer=self.writer, seq=seq, head=self._prev, at=at, signature="")
        signature = self._key.sign(unsigned.signed_bytes())
        line = msgspec.json.encode(msgspec.structs.replace(unsigned, signature=signature.hex()))
        fd = os.open(self._heads, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            os.write(fd, line + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
