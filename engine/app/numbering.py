"""The numbering plan that the configuration describes, and how users are filed by it."""

from engine.model.config import Config
from scoring.numbers import Numbering, NumberKind


def numbering_of(config: Config) -> Numbering:
    """The tenant's numbering plan."""
    plan = config.numbering
    return Numbering(region=plan.region, country_code=plan.country_code, short_codes=plan.short_codes)


def address_of(numbering: Numbering, user: str) -> str:
    """One spelling for a telephone number; any other user name as it is."""
    number = numbering.of_user(user)
    return number.display if number.kind is NumberKind.E164 else user
