"""Values that every layer shares: ids, facts, verdicts, outcomes, events, media commands, configuration."""
