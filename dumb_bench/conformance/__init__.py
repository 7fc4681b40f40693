"""Conformance checks, for this package's tests and for those of others."""

from dumb_bench.conformance.attack import Check, check_attack

__all__ = ["Check", "check_attack"]
