"""RTP and what rides on it (RFC 3550, 3551, 4733), as pure functions and small state machines."""
