"""The work of commands that are no phases: `duet ab` (base against head), `duet learn` and `duet self-test`."""
