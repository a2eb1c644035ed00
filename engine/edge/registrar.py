"""The registrar (RFC 3261 §10.3, RFC 3327, RFC 5626 §6) for a user who has proved who they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final

from engine.edge.bindings import Binding, Bindings
from engine.edge.settings import BindingRemoved, BindingSaved, EdgeSettings
from engine.sip.errors import RemoteProtocolError
from engine.sip.flow import DEFAULT_PORT, Flow
from engine.sip.grammar import is_digits
from engine.sip.message import Request
from engine.sip.uri import NameAddr

SUPPORTED: Final = ("path", "outbound")
MALFORMED_EXPIRES_S: Final = 3600
"""What an interval that cannot be read stands for (RFC 3261 §10.3 item 7)."""
_MOST_CONTACTS: Final = 16
_MOST_REG_ID: Final = 2**31 - 1
_Q: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)
_INSTANCE: Final = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,256}>", re.ASCII)

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Registered:
    """The answer to a REGISTER, and what changed."""

    status: int
    headers: Headers
    changes: list[BindingSaved | BindingRemoved]


class _Refused(Exception):
    def __init__(self, status: int, headers: Headers | None = None) -> None:
        super().__init__(status)
        self.answer = Registered(status, headers or [], [])


class Registrar:
    """Changes `bindings` all at once or not at all."""

    def __init__(self, settings: EdgeSettings, bindings: Bindings) -> None:
        self._settings = settings
        self._bindings = bindings

    def register(self, request: Request, user: str, flow: Flow, now: float) -> Registered:
        """Add, refresh, remove or list the user's bindings."""
        unknown = [option for option in request.requires if option not in SUPPORTED]
        if unknown:
            return Registered(420, [("Unsupported", ", ".join(unknown))], [])
        try:
            if request.rows("Contact") == ["*"]:
                changes: list[BindingSaved | BindingRemoved] = self._clear(request, user)
            else:
                changes = self._change(request, user, flow, now)
        except _Refused as refused:
            return refused.answer
        for change in changes:
            if isinstance(change, BindingSaved):
                self._bindings.put(change.binding)
            else:
                self._bindings.drop(change.binding)
        changes += self._make_room(user)
        return Registered(200, self._listed(request, user, flow, now), changes)

    def _clear(self, request: Request, user: str) -> list[BindingSaved | BindingRemoved]:
        if request.get("Expires") != "0":
            raise _Refused(400)
        bindings = self._bindings.of(user)
        for binding in bindings:
            _check_order(binding, request)
        return [BindingRemoved(binding) for binding in bindings]

    def _change(
        self, request: Request, user: str, flow: Flow, now: float
    ) -> list[BindingSaved | BindingRemoved]:
        contacts = request.contacts
        if len(contacts) > _MOST_CONTACTS:
            raise _Refused(403)
        changes: list[BindingSaved | BindingRemoved] = []
        for contact in contacts:
            seconds = self._interval(request, contact)
            binding = self._binding(request, contact, user, flow, now + seconds)
            earlier = self._bindings.find(binding)
            if earlier is not None:
                _check_order(earlier, request)
            # of a contact that is named twice the last word counts
            changes = [change for change in changes if not change.binding.is_same(binding)]
            if seconds:
                changes.append(BindingSaved(binding))
            elif earlier is not None:
                changes.append(BindingRemoved(earlier))
        return changes

    def _interval(self, request: Request, contact: NameAddr) -> int:
        """Seconds the contact is to be kept; 423 for what is too short (RFC 3261 §10.3 item 7)."""
        asked = contact.params.get("expires", request.get("Expires"))
        settings = self._settings
        if asked is None:
            return settings.default_expires_s
        seconds = int(asked) if is_digits(asked, 10) else MALFORMED_EXPIRES_S
        if 0 < seconds < settings.min_expires_s:
            raise _Refused(423, [("Min-Expires", str(settings.min_expires_s))])
        return min(seconds, settings.max_expires_s)

    def _binding(self, request: Request, contact: NameAddr, user: str, flow: Flow, expires: float) -> Binding:
        uri = contact.uri
        if uri.scheme not in ("sip", "sips") or uri.headers:
            raise _Refused(400)
        q = contact.params.get("q") or ""
        if q and not _Q.fullmatch(q):
            raise _Refused(400)
        instance = contact.params.get("+sip.instance") or ""
        if instance and not _INSTANCE.fullmatch(instance):
            raise _Refused(400)
        reg_id = contact.params.get("reg-id")
        outbound = bool(instance) and reg_id is not None and "outbound" in _supported(request)
        if outbound:
            if reg_id is None or not is_digits(reg_id, 10) or not 0 < int(reg_id) <= _MOST_REG_ID:
                raise _Refused(400)
            if len(request.contacts) > 1:  # RFC 5626 §6
                raise _Refused(400)
            if len(request.vias) > 1 and not _first_hop_keeps_flows(request):
                raise _Refused(439)
        return Binding(
            user=user,
            contact=str(uri),
            flow=flow,
            call_id=request.call_id,
            cseq=request.cseq.number,
            expires=expires,
            q=q,
            instance=instance,
            reg_id=int(reg_id) if outbound and reg_id is not None else 0,
            path=tuple(request.get_all("Path")),
        )

    def _make_room(self, user: str) -> list[BindingSaved | BindingRemoved]:
        excess = self._bindings.of(user)[self._settings.most_bindings :]
        for binding in excess:
            self._bindings.drop(binding)
        return [BindingRemoved(binding) for binding in excess]

    def _listed(self, request: Request, user: str, flow: Flow, now: float) -> Headers:
        headers: Headers = []
        outbound = False
        for binding in self._bindings.of(user):
            value = f"<{binding.contact}>;expires={max(0, ceil(binding.expires - now))}"
            value += f";q={binding.q}" if binding.q else ""
            if binding.instance:
                value += f';+sip.instance="{binding.instance}"'
            if binding.reg_id:
                value += f";reg-id={binding.reg_id}"
                outbound = outbound or binding.flow == flow
            headers.append(("Contact", value))
        headers += [("Path", value) for value in request.rows("Path")]  # RFC 3327 §5.3
        headers.append(("Supported", ", ".join(SUPPORTED)))
        if outbound:  # RFC 5626 §6, §5.4
            headers.append(("Require", "outbound"))
            if flow.reliable:
                headers.append(("Flow-Timer", str(self._settings.flow_timer_s)))
        return headers


def _check_order(binding: Binding, request: Request) -> None:
    """An older REGISTER of the same sequence must not undo a newer one (RFC 3261 §10.3 items 6 and 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _Refused(500)


def _supported(request: Request) -> set[str]:
    return {option.lower() for option in request.get_all("Supported")}


def _first_hop_keeps_flows(request: Request) -> bool:
    """Whether the proxy next to the phone put itself into the Path with `ob` (RFC 5626 §6)."""
    values = request.get_all("Path")
    try:
        return bool(values) and "ob" in NameAddr.parse(values[-1]).uri.params
    except RemoteProtocolError:
        return False


def delivery_flow(binding: Binding) -> Flow:
    """Where requests to the contact are sent: back where it registered from.

    A phone without address translation that listens at another port than it sends from is reached at the port
    of its contact; the host stays the same, so that nobody can aim our requests at a third party.
    """
    flow, uri = binding.flow, binding.uri
    if flow.reliable or binding.reg_id or binding.path or uri.host != flow.remote[0]:
        return flow
    return Flow(flow.transport, flow.local, (uri.host, uri.port or DEFAULT_PORT))
