"""The names that rows of `engine.call.table` give to what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from engine.call import agent, answering, calling, offers, replacing, transfer
from engine.call.leg_dialog import nobody
from engine.call.timers import RUNNING

if TYPE_CHECKING:
    from engine.call.call import Call

_ANY: Final = (*RUNNING, "reap")


def dispose(call: Call) -> None:
    """Nothing of the call is left."""
    more = call.former or call.transfer is not None or call.newcomer is not None
    for leg in call.legs if more else (call.caller, call.callee):
        if leg is not None:
            leg.dispose()
    call.timers.cancel(call.call_id, *_ANY)
    call.listener = nobody  # it holds this call: without it no collector has to find the two
    on_end, call.on_end = call.on_end, None
    if on_end is not None:
        on_end(call)


ACTIONS: Final[Mapping[str, Callable[[Call], None]]] = {
    action.__name__: action
    for action in (
        calling.announce,
        calling.await_hang_up,
        calling.end_announced,
        calling.invite_callee,
        calling.invite_next,
        calling.leave_hop,
        calling.ring_caller,
        calling.early_media_to_caller,
        calling.end_refused,
        answering.take_answer,
        answering.answer_caller,
        answering.warn_callee,
        answering.await_key,
        answering.stop_warning,
        answering.play_notice,
        answering.capture,
        answering.connect,
        agent.invite_agent,
        agent.take_agent,
        offers.answer_early_offer,
        offers.refuse_offer,
        offers.pass_offer,
        transfer.begin_transfer,
        transfer.release_referrer,
        transfer.complete_transfer,
        transfer.fail_transfer,
        transfer.drop_target,
        replacing.seat_newcomer,
        dispose,
    )
}
