"""The policy in force: a changed file counts at the next poll, an unusable one changes nothing."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.app.policies import PolicyView
from engine.screening import Policy, PolicyError
from scoring.numbers import Numbering

GOOD = 'name = "one"\n[[rule]]\nid = "all"\naction = "label"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(GOOD)
    return path


def test_a_changed_file_counts(path: Path) -> None:
    view = PolicyView(path, Numbering(), {})
    assert view.poll() is None
    assert not view.changed()
    path.write_text(GOOD.replace("label", "warn"))
    assert view.changed()
    loaded = view.poll()
    assert isinstance(loaded, Policy)
    assert view.policy is loaded
    assert not view.changed()
    assert view.poll() is None


def test_the_same_text_again_is_no_change(path: Path) -> None:
    view = PolicyView(path, Numbering(), {})
    policy = view.policy
    path.write_text(GOOD)
    assert view.poll() is None
    assert view.policy is policy


def test_an_unusable_file_keeps_the_old_policy_and_says_so_once(path: Path) -> None:
    view = PolicyView(path, Numbering(), {})
    before = view.policy
    path.write_text(GOOD + "[[rule]\n")
    error = view.poll()
    assert isinstance(error, PolicyError)
    assert "policy.toml:5" in str(error)
    assert view.poll() is None
    assert view.policy is before
    path.unlink()
    assert isinstance(view.poll(), PolicyError)
    assert view.policy is before


@contextmanager
def without_descriptors() -> Iterator[None]:
    """No file can be opened: EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_file_that_could_not_be_read_is_tried_again_and_told_of_once(path: Path) -> None:
    view = PolicyView(path, Numbering(), {})
    path.write_text(GOOD.replace("label", "warn"))
    with without_descriptors():
        error = view.poll()
        again = view.changed(), view.poll()
    assert isinstance(error, PolicyError)
    assert "Too many open files" in str(error)
    assert again == (True, None)
    assert view.changed()
    assert view.poll() is view.policy
    assert not view.changed()
    assert view.poll() is None


def test_without_a_first_policy_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        PolicyView(tmp_path / "none.toml", Numbering(), {})
    (tmp_path / "mine.toml").write_bytes(b"name = \xff")
    with pytest.raises(PolicyError, match=r"mine\.toml: cannot be read"):
        PolicyView(tmp_path / "mine.toml", Numbering(), {})
