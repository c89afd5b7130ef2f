"""Floor 1: data in, data out. No I/O, no clock, no session."""
