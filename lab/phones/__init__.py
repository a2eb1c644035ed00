"""Lab phones: real SIP user agents in a process of their own, driven by JSON lines."""
