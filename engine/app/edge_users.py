"""Who may register at the edge, and under which numbers: from the configuration and from a CSV file."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.app.config import ConfigError
from engine.app.numbering import address_of
from engine.edge.accounts import Accounts
from engine.model.edge_section import EdgeSection
from engine.sip.digest_server import Secret
from scoring.numbers import Numbering

COLUMNS: Final = ("user", "password", "ha1_md5", "ha1_sha256", "numbers")
_HA1: Final = {
    "ha1_md5": re.compile(r"[0-9a-f]{32}", re.ASCII),
    "ha1_sha256": re.compile(r"[0-9a-f]{64}", re.ASCII),
}


@dataclass(frozen=True, slots=True)
class Users:
    """By user name."""

    secrets: dict[str, Secret]
    numbers: dict[str, tuple[str, ...]]
    """Beside the name itself."""

    def accounts(self, numbering: Numbering) -> Accounts:
        """Raises ConfigError where two users have one number."""
        try:
            return Accounts(self.secrets, self.numbers, address_of=lambda user: address_of(numbering, user))
        except ValueError as error:
            raise ConfigError(f"edge: {error}") from None


def load_users(edge: EdgeSection) -> Users:
    """Raises ConfigError, whose text holds no secret."""
    secrets = {user: Secret.of_password(user, edge.realm, password) for user, password in edge.users.items()}
    numbers = dict(edge.numbers)
    for row, where in _rows(edge.users_file) if edge.users_file is not None else ():
        user, secret = _user(row, edge.realm, where)
        if user in secrets:
            raise ConfigError(f"{edge.users_file}: user {user} stands twice, here or in edge.users")
        secrets[user] = secret
        numbers[user] = (*numbers.get(user, ()), *(row.get("numbers") or "").split())
    strangers = numbers.keys() - secrets.keys()
    if strangers:
        raise ConfigError(f"edge.numbers.{min(strangers)}: there is no such user")
    return Users(secrets, numbers)


def _rows(path: Path) -> list[tuple[dict[str, str | None], str]]:
    """Each row, and the words for where it stands."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"user"} < set(rows.fieldnames or ()) <= set(COLUMNS):
                raise ConfigError(f"{path}: the first line must name columns of {', '.join(COLUMNS)}")
            return [(row, f"{path}, line {rows.line_num}") for row in rows]
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
