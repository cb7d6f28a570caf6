"""A group's spec bound to this machine: its data files, its task's functions, and workers that run its members."""
