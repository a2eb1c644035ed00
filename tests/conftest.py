"""For all tests: hypothesis judges results, never how long an example took."""

from hypothesis import settings

settings.register_profile("timeless", deadline=None)
settings.load_profile("timeless")
