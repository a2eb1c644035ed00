"""The SIP edge for phones: registrar and outbound proxy, without IO (RFC 3261 §10, §16, RFC 5626)."""
