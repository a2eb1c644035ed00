"""Putting processes together: configuration, key files, supervision."""
