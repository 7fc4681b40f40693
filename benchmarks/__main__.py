"""The speed benchmark: `python -m benchmarks --help`."""

from benchmarks.speed.command import main

main()
