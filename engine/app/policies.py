"""The policy in force, reloaded when its file changes; a file that cannot be used changes nothing."""

from collections.abc import Mapping
from pathlib import Path

from engine.screening import Policy, PolicyError, load_policy
from engine.screening.policy import Text
from engine.warning.announcements import Catalogue
from scoring.numbers import Numbering
from scoring.numbers.hot_files import Mark, file_mark


class PolicyUnreadError(PolicyError):
    """The file was not read: what is in it is not known, and may be had another time."""


def read_policy(path: Path, numbering: Numbering, labels: Mapping[str, Text]) -> Policy:
    """The policy in a file, its examples verified; `labels` are those it may name. Raises PolicyError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise PolicyUnreadError(f"{path}: cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from None
    return load_policy(text, str(path), numbering, labels)


def catalogue_labels(catalogue: Catalogue) -> Mapping[str, Text]:
    """The catalogue's labels as policies use them."""
    return {
        slug: Text(catalogue.label(slug, "en"), catalogue.label(slug, "zh-CN")) for slug in catalogue.labels
    }


class PolicyView:
    """The policy of one file. `changed` is cheap and asked several times a second, `poll` after a change.

    The constructor raises PolicyError: there is nothing to fall back on before the first policy.
    """

    def __init__(self, path: Path, numbering: Numbering, labels: Mapping[str, Text]) -> None:
        self._path = path
        self._numbering = numbering
        self._labels = labels
        self._mark = self._on_disk()
        self._unread = ""
        """Why the file of that mark could not be read; it is tried again at each look."""
        self.policy: Policy = read_policy(path, numbering, labels)

    def changed(self) -> bool:
        """Whether there is something for `poll`."""
        return self._unread != "" or self._on_disk() != self._mark

    def poll(self) -> Policy | PolicyError | None:
        """A newly loaded policy, the error for which a changed file was refused (told once), or None."""
        mark = self._on_disk()
        if mark == self._mark and not self._unread:
            return None
        self._mark = mark
        told, self._unread = self._unread, ""
        try:
            policy = read_policy(self._path, self._numbering, self._labels)
        except PolicyUnreadError as error:
            if mark is not None:  # it is there: for want of a descriptor, say, which comes back
                self._unread = str(error)
            return error if str(error) != told else None
        except PolicyError as error:
            return error
        if policy.version == self.policy.version:
            return None
        self.policy = policy
        return policy

    def _on_disk(self) -> Mark | None:
        try:
            return file_mark(self._path)
        except OSError:
            return None
