"""Nothing is needed here: the plugin is found through its entry point, its settings stand in pyproject.toml."""
