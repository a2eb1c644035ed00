"""Dissuasion calls: scripts, the pure dialogue step, and the wording lint."""
