"""Adversarial transferability, measured."""
