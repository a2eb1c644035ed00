"""Leads become dissuasion calls: claimed in the store, asked for on the bus, acknowledged by the worker."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from engine.bus.client import Bus
from engine.bus.topics import ACKNOWLEDGEMENTS, COMMANDS
from engine.model.commands import Acknowledgement, PlaceDissuasionCall
from engine.model.config import Config
from engine.model.ids import CommandId, TenantId
from engine.store.entries import LeadEntry
from engine.store.leads import LeadRepository

LOOK_S = 0.5
DEADLINE_S = 5.0
"""So long a worker may take to begin the call; later it refuses."""
RETRY_AFTER = timedelta(minutes=1)
MOST_ATTEMPTS = 3

_log = logging.getLogger(__name__)


class Dialler:
    """One per store. A lead is claimed before its call is asked for, and asked for again under the same id
    where the answer is not known, so that a retry cannot dial twice.
    """

    def __init__(
        self,
        config: Config,
        leads: LeadRepository,
        bus: Bus,
        now: Callable[[], datetime],
        *,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._config = config
        self._leads = leads
        self._bus = bus
        self._now = now
        self._deadline_s = deadline_s
        self._waiting: dict[CommandId, asyncio.Future[Acknowledgement]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        tenant = TenantId(self._config.tenant)
        node, worker = self._config.node.id, self._config.node.worker
        await self._bus.subscribe(ACKNOWLEDGEMENTS.name(tenant, node=node, worker=worker), self._acknowledged)
        while True:
            try:
                for lead in await self._leads.leads_left(self._now()):
                    await self._take_over(lead)
                for lead in await self._leads.leads_to_call(self._now()):
                    await self._call(lead)
            except SQLAlchemyError as error:
                _log.error("leads could not be read: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _acknowledged(self, topic: str, payload: bytes) -> None:
        answer = msgspec.json.decode(payload, type=Acknowledgement)
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _take_over(self, lead: LeadEntry) -> None:
        """A centre died between claim and answer, or an engine with a call and never came back."""
        if not await self._leads.lead_taken_over(lead.tenant, lead.case_id, self._now()):
            return
        if lead.command is None:
            _log.error("nothing is known of the dissuasion call of case %s", lead.case_id)
            await self._leads.lead_ended(lead.tenant, lead.case_id, "lost")
        elif lead.called:
            await self._leads.lead_placed(lead.tenant, lead.case_id, self._now())
        else:
            _log.warning("case %s was left unfinished; its call is asked for again", lead.case_id)
            await self._dial(lead, lead.attempts, lead.command)

    async def _call(self, lead: LeadEntry) -> None:
        command = lead.command or CommandId(secrets.token_hex(8))
        if not await self._leads.lead_started(lead.tenant, lead.case_id, self._now(), command):
            return
        if lead.called:  # an earlier command was heard after all
            await self._leads.lead_placed(lead.tenant, lead.case_id, self._now())
        else:
            await self._dial(lead, lead.attempts + 1, command)

    async def _dial(self, lead: LeadEntry, attempts: int, command_id: CommandId) -> None:
        """Ask for the call of a claimed lead; `attempts` with this one."""
        number = lead.victim.number
        if number is None:
            await self._leads.lead_ended(lead.tenant, lead.case_id, "erased")
            return
        config = self._config
        command = PlaceDissuasionCall(
            id=command_id,
            tenant=lead.tenant,
            deadline=self._now().timestamp() + self._deadline_s,
            case_id=lead.case_id,
            number=number,
            language=config.language_of(number),
            script=config.dissuasion.script,
        )
        answer = await self._ask(command)
        if answer is not None and answer.ok:
            await self._leads.lead_placed(lead.tenant, lead.case_id, self._now())
            return
        reason = answer.error if answer is not None else "no_worker"
        retry = attempts < MOST_ATTEMPTS and reason in ("no_worker", "expired", "draining")
        _log.warning("a dissuasion call was not placed: %s%s", reason, "; tried again later" if retry else "")
        await self._leads.lead_ended(
            lead.tenant,
            lead.case_id,
            reason,
            self._now() + RETRY_AFTER if retry else None,
            unanswered=answer is None,
        )

    async def _ask(self, command: PlaceDissuasionCall) -> Acknowledgement | None:
        """The worker's answer, or None when there was none.

        It is waited for twice as long as a worker may take: an answer on its way when the deadline passes is
        that of a call, and whoever did not wait for it would have the victim called again.
        """
        config = self._config
        topic = COMMANDS.name(command.tenant, node=config.node.id, worker=config.node.worker)
        waiting: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = waiting
        try:
            async with asyncio.timeout(2 * self._deadline_s):
                await self._bus.publish(topic, msgspec.json.encode(command))
                return await waiting
        except TimeoutError:
            return None
        finally:
            del self._waiting[command.id]
