"""Who may register at the edge: from the configuration and from a CSV file, as digest secrets."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

from engine.app.config import ConfigError
from engine.model.config import EdgeSection
from engine.sip.digest_server import Secret

COLUMNS: Final = ("user", "password", "ha1_md5", "ha1_sha256")
_HA1: Final = {
    "ha1_md5": re.compile(r"[0-9a-f]{32}", re.ASCII),
    "ha1_sha256": re.compile(r"[0-9a-f]{64}", re.ASCII),
}


def load_users(edge: EdgeSection) -> dict[str, Secret]:
    """Secrets by user name. Raises ConfigError, whose text holds no secret."""
    found = {user: Secret.of_password(user, edge.realm, password) for user, password in edge.users.items()}
    if edge.users_file is None:
        return found
    for user, secret in _read(edge.users_file, edge.realm):
        if user in found:
            raise ConfigError(f"{edge.users_file}: user {user} stands twice, here or in edge.users")
        found[user] = secret
    return found


def _read(path: Path, realm: str) -> list[tuple[str, Secret]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"user"} < set(rows.fieldnames or ()) <= set(COLUMNS):
                raise ConfigError(f"{path}: the first line must name columns of {', '.join(COLUMNS)}")
            return [_user(row, realm, f"{path}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _user(row: dict[str, str | None], realm: str, where: str) -> tuple[str, Secret]:
    user, password = row.get("user") or "", row.get("password") or ""
    if not user or None in row:
        raise ConfigError(f"{where}: a user and nothing beyond the named columns is expected")
    hashes = {name: (row.get(name) or "").lower() for name in _HA1}
    if password:
        if any(hashes.values()):
            raise ConfigError(f"{where}: {user} has a password and hashes; one of them is enough")
        return user, Secret.of_password(user, realm, password)
    for name, pattern in _HA1.items():
        if hashes[name] and not pattern.fullmatch(hashes[name]):
            raise ConfigError(f"{where}: {name} of {user} is no hash")
    if not any(hashes.values()):
        raise ConfigError(f"{where}: {user} has neither password nor hash")
    return user, Secret(hashes["ha1_md5"], hashes["ha1_sha256"])
