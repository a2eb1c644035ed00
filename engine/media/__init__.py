"""RTP: a worker process of its own, and the port through which the engine drives it."""
