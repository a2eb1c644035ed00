"""The journal: every event of a node on its own disk before anybody hears of it."""

from engine.journal.file import JournalBusy, JournalDamaged
from engine.journal.reader import JournalReader
from engine.journal.writer import Journal

__all__ = ["Journal", "JournalBusy", "JournalDamaged", "JournalReader"]
