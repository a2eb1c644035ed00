"""Programs written by others that the lab and the tests let talk to the engine.

Asterisk, SIPp and pyVoIP each run as a process of their own; nothing of theirs is imported here.
"""
