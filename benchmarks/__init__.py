"""Measurements of the harness. `python -m benchmarks` is the speed benchmark; the other files are scripts."""
