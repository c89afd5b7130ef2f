"""Journeys against programs that other people wrote; `make test-real`."""
