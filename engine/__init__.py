"""Ringward's engine: the SIP core, call logic, media path, stores and the processes around them."""
