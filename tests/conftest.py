"""For all tests: hypothesis never judges how long an example took, and the quick ways are taken at once."""

from hypothesis import settings

from engine.sip import layouts

settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")
layouts.SIGHTINGS = 1  # type: ignore[misc]
