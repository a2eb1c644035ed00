"""The pyVoIP telephone itself: a script for pyVoIP's own environment, never imported by the project.

    python pyvoip_driver.py LISTEN NEIGHBOUR NUMBER TONE_HZ TALK_S HEARD_FILE PASSWORD

With a password it registers at its neighbour. It answers one call on LISTEN:5060, plays a tone, writes what
it hears as unsigned 8-bit samples at 8 kHz, hangs up after TALK_S seconds and prints one JSON object a line:
`ready`, `incoming`, `answered`, `ended`.
"""

import json
import math
import sys
import threading
import time
import uuid
from pathlib import Path

from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

PORT = 5060
FRAME = 160  # samples of 20 ms
LAG_S = 0.1


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def tone(frequency_hz: float, seconds: float) -> bytes:
    """An 8-bit sine, centred on 128: pyVoIP's own sample format."""
    return bytes(
        round(128 + 40 * math.sin(2 * math.pi * frequency_hz * n / 8000))
        for n in range(round(seconds * 8000))
    )


def unregistered(phone: VoIPPhone) -> None:
    """Let it speak to its one neighbour without a registrar, with Call-IDs that no restart repeats."""
    phone.sip.register = lambda: True
    phone.sip.gen_call_id = lambda: f"{uuid.uuid4().hex}@{phone.sip.myIP}"


def main() -> None:
    listen, neighbour, number, tone_hz, talk_s, heard_file, password = sys.argv[1:]
    over = threading.Event()

    def ring(call: VoIPCall) -> None:
        party = call.request.headers["From"]
        say("incoming", caller=party["number"], name=party["caller"])
        call.answer()
        say("answered")
        call.write_audio(tone(float(tone_hz), float(talk_s)))
        due = time.monotonic() + LAG_S
        end = due + float(talk_s)
        with Path(heard_file).open("wb") as heard:
            while call.state == CallState.ANSWERED and due < end:
                # Reading fills up with silence what has not come yet: read at the pace of the line.
                due += FRAME / 8000
                time.sleep(max(0.0, due - time.monotonic()))
                heard.write(call.read_audio(FRAME, blocking=False))
        by_us = call.state == CallState.ANSWERED
        if by_us:
            call.hangup()
        say("ended", by_us=by_us)
        over.set()

    phone = VoIPPhone(neighbour, PORT, number, password, myIP=listen, callCallback=ring, sipPort=PORT)
    if not password:
        unregistered(phone)
    phone.start()
    say("ready")
    over.wait(60)
    phone.stop()


if __name__ == "__main__":
    main()
