"""Floor 2: the application."""
