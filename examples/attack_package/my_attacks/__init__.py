"""Attacks of one's own, as plugins of dumb_bench."""
