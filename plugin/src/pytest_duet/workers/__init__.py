"""Workers prepare and run jobs on request: in this process (``direct``) or in a process of their own (``process``)."""
