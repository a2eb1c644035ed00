"""A reader may be closed while another thread reads: the shipper's, when the centre is stopped."""

import subprocess
import sys
from pathlib import Path

from engine.journal import Journal
from engine.model.events import Alarm
from engine.model.ids import TenantId

RACE = """
import sys, threading, time
from pathlib import Path
from engine.journal import JournalDamaged, JournalReader

def read(reader):
    try:
        reader.after(0, 200)
    except JournalDamaged:
        pass  # closed already

for turn in range(400):
    reader = JournalReader(Path(sys.argv[1]))
    thread = threading.Thread(target=read, args=(reader,))
    thread.start()
    time.sleep(turn % 20 * 0.00005)
    reader.close()
    thread.join()
"""


def test_closing_waits_for_a_reading_thread(tmp_path: Path) -> None:
    """In a process of its own: what it guards against ends the process, not the test."""
    journal = Journal(tmp_path, "n", 1_000.0)
    journal.extend(TenantId("lab"), [(Alarm(slug="test", detail="x" * 50), 1_000.0)] * 5_000)
    journal.close()
    done = subprocess.run([sys.executable, "-c", RACE, str(journal.path)], timeout=60, check=False)
    assert done.returncode == 0
