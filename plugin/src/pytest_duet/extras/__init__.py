"""Commands' work beside the six phases: head against base, the self-test."""
