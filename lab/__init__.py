"""The lab: phones, scenarios, speech, peers and benchmarks around the engine."""
