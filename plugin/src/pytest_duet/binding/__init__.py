"""A group's spec bound to this machine: its data files, its task's functions, and the workers of its members."""
