"""Recordings: the capture format, its hash chain, exports and transcripts."""
