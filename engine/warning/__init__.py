"""Warnings: what the parties hear and read."""
