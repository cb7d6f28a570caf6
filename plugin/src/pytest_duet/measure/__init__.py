"""Measure one group of cases: who runs when, what is checked before, what is observed after.

Not for judging what came out (``comparison``) and not for pytest (``plugin``).
"""
