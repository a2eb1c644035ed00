"""Dying with one's parent: what a child process of ours asks of the kernel first."""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send `number` when the parent dies (Linux; a no-op elsewhere).

    The parent is, to the kernel, the thread that started this process.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), number)
