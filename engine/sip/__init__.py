"""SIP over any transport, without IO: messages, transactions, dialogs (RFC 3261, 6026, 3581, 7616).

framing      messages out of a byte stream; glance and plain read what is wanted before the rest is parsed
message      requests and responses, of headers, via, uri, grammar, names, status
layer        transactions: machines holds their tables, matching finds them, timers wakes them
dialog       the state both ends share; messages makes what belongs to none
location     where a request goes (RFC 3263)
digest       answers to challenges; digest_server puts them
flood        how much a source may send
"""
