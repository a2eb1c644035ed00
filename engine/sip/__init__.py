"""SIP over any transport, without IO: messages, transactions, dialogs (RFC 3261, 6026, 3581, 7616)."""
