"""Probes: each reads one resource of a process from outside, the same way for every language.

Not for deciding when to look: ``measure.observe`` does.
"""
