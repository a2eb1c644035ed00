"""The event loop around the pure core: sockets, timers, screening look-ups, the agent's user agent."""
