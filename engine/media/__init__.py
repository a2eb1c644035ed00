"""RTP: a worker process of its own, and the port through which the engine drives it.

port         MediaPort, and WorkerPort that spawns the worker, restarts it and tells what was lost
settings     WorkerSettings: what a worker is told at its start
failures     the slugs of MediaFailed.reason
worker       the process: python -m engine.media.worker; link, loop, chores
session      one call: endpoints, the routing matrix, playbacks, captures
endpoint     one leg's sockets: source lock, relay, keys, mixing; outgoing is the stream towards it
sounds       prompts and tones; ticker is their 20 ms clock
capture      two channels in RTP time; disk is the writer thread behind them

A leg that hears one other leg at 0 dB gets its packets as they arrive, with another header and law.
Frames are made on the ticker only for legs that hear a prompt, a tone or several sources.
"""
