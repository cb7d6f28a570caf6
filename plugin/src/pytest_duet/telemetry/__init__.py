"""Probes: each reads one metric of a process from outside, the same way for every language."""
