"""Sippy's simple B2BUA with one rule more: callers whose number begins with +86170 are declined.

Runs in an environment made from `sippy.lock` and imports nothing of ours. Its arguments are those of
`b2bua_simple`: -f -l ADDRESS -p PORT -n ADDRESS:PORT.
"""

from typing import Any

from sippy import b2bua_simple  # type: ignore[import-not-found]

_put_through = b2bua_simple.CallMap.recvRequest


def _screened(self: Any, request: Any, transaction: Any) -> Any:
    first = request.getMethod() == "INVITE" and request.getHFBody("to").getTag() is None
    caller = request.getHFBody("from").getUrl().username if first else None
    if caller is not None and caller.startswith("+86170"):
        return (request.genResponse(603, "Decline"), None, None)
    return _put_through(self, request, transaction)


if __name__ == "__main__":
    b2bua_simple.CallMap.recvRequest = _screened
    b2bua_simple.main_func()
