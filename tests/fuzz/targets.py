"""All input paths by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import calls, files, media, sip
from tests.fuzz.kit import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for module in (sip, media, calls, files) for target in module.TARGETS
}
