"""The policy in force, reloaded when its file changes; a file that cannot be used changes nothing."""

from pathlib import Path

from engine.screening import Policy, PolicyError, load_policy
from scoring.numbers import Numbering


class PolicyView:
    """The policy of one file. `poll` is called about once a second.

    The constructor raises PolicyError: there is nothing to fall back on before the first policy.
    """

    def __init__(self, path: Path, numbering: Numbering) -> None:
        self._path = path
        self._numbering = numbering
        self._mark = self._on_disk()
        self.policy: Policy = load_policy(path, numbering)

    def poll(self) -> Policy | PolicyError | None:
        """A newly loaded policy, the error for which a changed file was refused (told once), or None."""
        mark = self._on_disk()
        if mark == self._mark:
            return None
        self._mark = mark
        try:
            policy = load_policy(self._path, self._numbering)
        except PolicyError as error:
            return error
        if policy.version == self.policy.version:
            return None
        self.policy = policy
        return policy

    def _on_disk(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns)
