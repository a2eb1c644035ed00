"""Secrets of a deployment: made on first use, kept in the data folder, never in the configuration."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.app.config import ConfigError
from engine.model.ids import NumberId, TenantId
from scoring.numbers.number import canonical_id

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """Every secret of this deployment."""

    number_id: bytes = field(repr=False)
    """Under which numbers are filed (`scoring.numbers.number_id`) and appeal codes are made."""

    bus: bytes = field(repr=False)
    """Opens the embedded broker to our own processes."""

    card: bytes = field(repr=False)
    """Seed of the key that signs the cards of blocked callers (RFC 8688)."""

    def file_number(self, tenant: TenantId, number: str) -> NumberId:
        """The keyed id of a number as it is displayed, or of a prefix with its `*`."""
        return NumberId(canonical_id(self.number_id, tenant, number))


def load_keys(data_folder: Path) -> Keys:
    """The keys in `data_folder`/keys, made once with mode 0600. Raises ConfigError."""
    folder = data_folder / "keys"
    return Keys(
        number_id=_load(folder / "number_id.key"),
        bus=_load(bus_key_path(data_folder)),
        card=_load(folder / "card.key"),
    )


def load_edge_key(data_folder: Path) -> bytes:
    """What the edge signs its nonces and flow tokens with. Raises ConfigError."""
    return _load(data_folder / "keys" / "edge.key")


def bus_key_path(data_folder: Path) -> Path:
    """Where the key of the embedded broker is, once `load_keys` has made it."""
    return data_folder / "keys" / "bus.key"


def _load(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: others may read this key; chmod 600 it")
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error}") from None
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path}: expected {KEY_BYTES} bytes, found {len(key)}; restore it from a backup")
    return key


def _make(path: Path) -> None:
    """Whole or not at all: of several processes that start together one makes it, the others read it."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        part.unlink()
