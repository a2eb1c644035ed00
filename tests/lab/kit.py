"""A lab of one engine with SIPp on both sides, and the numbers of its risk table."""

from dataclasses import dataclass

from lab.peers import scenarios
from lab.peers.ringward import Ringward
from lab.peers.scenarios import Scenario
from lab.peers.sipp import Line, Load, Result, answering, place_calls

CLEAN = "+8613800000001"
RED = "+8617000000001"
YELLOW_LABEL = "+8617000000002"
YELLOW_WARN = "+8617000000003"
SUBSCRIBER = "13900000002"

NUMBERS = f"""\
number,level,action,reason,expires
{RED},red,reject,police_list,
{YELLOW_LABEL},yellow,label,many_short_calls,
{YELLOW_WARN},yellow,warn,reported_by_subscribers,
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """The engine between a carrier and the subscribers' side, both SIPp."""

    engine: Ringward
    carrier: Line
    access: Line

    async def call(
        self,
        calling: Scenario,
        called: Scenario = scenarios.ANSWERS,
        *,
        caller: str = CLEAN,
        number: str = SUBSCRIBER,
        load: Load | None = None,
        manner: Load | None = None,
    ) -> tuple[Result, Result]:
        """Calls to a subscriber that both sides count as well done; `manner` is the callee's."""
        async with answering(called, self.access, manner) as side:
            ours = await self.alone(calling, caller=caller, number=number, load=load)
            theirs = await side.finish()
        assert theirs.failed == 0, self.engine.peer.error(f"callee: {theirs}")
        return ours, theirs

    async def alone(
        self,
        calling: Scenario,
        *,
        caller: str = CLEAN,
        number: str = SUBSCRIBER,
        load: Load | None = None,
        line: Line | None = None,
        via: tuple[str, int] | None = None,
    ) -> Result:
        """Calls with nobody at the other end, all of which went as the scenario has it."""
        place = line or self.carrier
        result = await place_calls(calling, place, self.engine.target, caller, number, load, via=via)
        wanted = ((load or Load()).calls, 0)
        assert (result.succeeded, result.failed) == wanted, self.engine.peer.error(f"caller: {result}")
        return result
