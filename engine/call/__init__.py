"""The back-to-back user agent: legs, calls and the table that moves them. Pure."""
