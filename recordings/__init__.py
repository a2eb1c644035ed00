"""Recordings: the capture format, its hash chain, exports and transcripts.

writer       CaptureWriter, driven by one thread of the media worker
capture      Capture, the reader; repair(path) after a crash
archive      Archive(folder): where recordings live, find, list, delete, recover
chain        ChainWriter, one append-only JSONL per writer with signed heads
verify       verify(folder) -> Report, without keys to the audio
export       WAV (whole or by byte range), FLAC, waveform peaks
transcripts  transcribe_capture(capture, recognisers, languages) -> Transcript
worker       the same in a process of its own; client is its parent's end, for an event loop
parent       how a child process, here and in the engine, dies with the one that started it

The byte layout of a capture is described in `chunks`.
"""
