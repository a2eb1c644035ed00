"""The numbering plan that the configuration describes."""

from engine.model.config import Config
from scoring.numbers import Numbering


def numbering_of(config: Config) -> Numbering:
    """The tenant's numbering plan."""
    plan = config.numbering
    return Numbering(region=plan.region, country_code=plan.country_code, short_codes=plan.short_codes)
