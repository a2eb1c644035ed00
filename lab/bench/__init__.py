"""Measurements against peers on one machine: reported, never asserted."""
