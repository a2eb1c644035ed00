"""Where the keys of a recordings folder and the signed heads are kept."""

from pathlib import Path


def heads_path(folder: Path) -> Path:
    """The heads file of a recordings folder unless told otherwise: beside it, not in it."""
    return folder.parent / "keys" / "chain-heads.jsonl"


def key_path(folder: Path) -> Path:
    """The signing key of a recordings folder unless told otherwise: beside it, not in it."""
    return folder.parent / "keys" / "chain.ed25519"


def public_key_path(path: Path) -> Path:
    """Where the public half of the signing key at `path` lies."""
    return path.with_name(path.name + ".pub")
