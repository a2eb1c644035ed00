"""Which Python the set-up takes, told with interpreters that say what they are."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.peers.ringward import CHECKOUT

PLAIN, OPTIMISED, BARE, OTHER = "plain", "optimised", "bare", "other"


@pytest.fixture
def pythons(tmp_path: Path) -> Path:
    """A folder with one interpreter of each kind; asked, it names it; as `-m venv` it makes a folder."""
    for kind in (PLAIN, OPTIMISED, BARE, OTHER):
        path = tmp_path / kind
        path.write_text(
            f'#!/bin/sh\ncase $1 in -V) echo "Python of {kind}";; -c) echo {kind};; '
            '-m) mkdir -p "$4"; basename "$0" >"$4/made_by";; esac\n',
            encoding="ascii",
        )
        path.chmod(0o755)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such version' >&2\nexit 127\n", encoding="ascii")
    broken.chmod(0o755)
    return tmp_path


def bootstrap(pythons: Path, *names: str) -> tuple[str, str]:
    """The interpreter that was taken, empty for none, and all that was said."""
    made = pythons / "venv"
    done = subprocess.run(
        [CHECKOUT / "lab" / "bootstrap.sh", made, *names],
        env=os.environ | {"PATH": f"{pythons}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    taken = (made / "made_by").read_text(encoding="ascii").strip() if made.exists() else ""
    assert (done.returncode == 0) == bool(taken)
    return taken, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        ((OPTIMISED, PLAIN), OPTIMISED),
        ((PLAIN, OPTIMISED), OPTIMISED),
        ((PLAIN, BARE, OTHER), PLAIN),
        ((PLAIN,), PLAIN),
        (("absent", "broken", BARE, OTHER, PLAIN), PLAIN),
        (("absent", "broken", OTHER, PLAIN, OPTIMISED), OPTIMISED),
    ],
)
def test_the_first_is_taken_unless_only_another_one_is_optimised(
    pythons: Path, names: tuple[str, ...], taken: str
) -> None:
    assert bootstrap(pythons, *names)[0] == taken


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((OPTIMISED,), "with optimised (Python of optimised), built with profile-guided optimisation\n"),
        (
            (PLAIN, OPTIMISED),
            "with optimised (Python of optimised), built with profile-guided optimisation\n",
        ),
        ((PLAIN,), "with plain (Python of plain): no interpreter built with profile-guided optimisation"),
    ],
)
def test_one_line_tells_which_was_taken_and_why(pythons: Path, names: tuple[str, ...], said: str) -> None:
    lines = bootstrap(pythons, *names)[1]
    assert said in lines
    assert lines.count("\n") == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("absent",), "ringward needs Python 3.11, 3.12 or 3.13. On Debian or Ubuntu: sudo apt install"),
        (("broken",), "ringward needs Python 3.11, 3.12 or 3.13. On Debian or Ubuntu: sudo apt install"),
        ((OTHER,), "ringward needs Python 3.11, 3.12 or 3.13; other is Python of other."),
        ((BARE,), "bare cannot make virtual environments"),
        (("absent", OTHER, BARE), "bare cannot make virtual environments"),
    ],
)
def test_without_a_usable_one_the_nearest_is_told_of(
    pythons: Path, names: tuple[str, ...], said: str
) -> None:
    taken, lines = bootstrap(pythons, *names)
    assert not taken
    assert said in lines


def test_a_real_interpreter_answers_the_question() -> None:
    script = (CHECKOUT / "lab" / "bootstrap.sh").read_text(encoding="utf-8")
    question = script.partition("question='")[2].partition("'\n")[0]
    real = CHECKOUT / ".venv" / "bin" / "python"
    answer = subprocess.run([real, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() in {PLAIN, OPTIMISED}
