"""Who calls: the short way to From's name and number says what the whole value does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.identity import caller_of
from engine.sip.errors import RemoteProtocolError
from engine.sip.message import Request

values = st.tuples(
    st.sampled_from(["", '"A" ', '"王" ', '"" ', "A ", '"a\\"b" ']),
    st.sampled_from(["sip:", "sips:", "SIP:", "tel:"]),
    st.sampled_from(["", "a@", "+8613800138000@", "a;b=c@", "%41@", "a:secret@", "@"]),
    st.sampled_from(["h", "H", "127.0.0.1", "h:5060", "[::1]:5060", "h;x=y@z", "h;lr;user=phone", "+86110"]),
    st.sampled_from(["", ";tag=1"]),
).map(lambda parts: f"{parts[0]}<{''.join(parts[1:4])}>{parts[4]}")


@given(values | st.just("sip:a@h;tag=1") | st.just("nobody"))
def test_it_is_what_the_whole_value_says(value: str) -> None:
    request = Request("INVITE", "sip:b@h", [("From", value)])
    try:
        party = request.from_
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            caller_of(Request("INVITE", "sip:b@h", [("From", value)]))
    else:
        assert caller_of(Request("INVITE", "sip:b@h", [("From", value)])) == (party.display, party.uri.user)
