"""Flask only here: webhooks, health, console."""
