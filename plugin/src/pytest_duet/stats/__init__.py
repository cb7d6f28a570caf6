"""Statistics as pure functions over numbers, each with its source."""
