"""What a running program has used: processor time and memory of its process tree, from /proc."""

import os
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(map(int, task.read_text(encoding="ascii").split()))
            except OSError:  # it has just ended
                continue
    return found


def cpu_ms(pid: int) -> float:
    """Processor time of the process and its children so far, in ms (steps of 10 ms a process)."""
    return sum(map(_used_ms, tree(pid)))


def memory_mb(pid: int) -> float:
    """Resident memory of the tree in MB; what several processes share is counted once (PSS)."""
    return sum(map(_pss_kb, tree(pid))) / 1000


def rss_mb(pid: int) -> float:
    """Resident memory of one process alone, in MB."""
    return _kb(Path(f"/proc/{pid}/status"), "VmRSS:") / 1000


def _used_ms(pid: int) -> float:
    """utime + stime of one process, its threads included (proc(5), fields 14 and 15)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_MS


def _pss_kb(pid: int) -> int:
    return _kb(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")


def _kb(path: Path, key: str) -> int:
    """The figure of a row `key   1234 kB`, as 1000 bytes; 0 where the process is gone."""
    try:
        rows = path.read_text(encoding="ascii", errors="replace").split("\n")
    except OSError:
        return 0
    found = [row.split() for row in rows if row.startswith(key)]
    return int(found[0][1]) * 1024 // 1000 if found else 0
