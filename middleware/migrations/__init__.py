"""Alembic migrations: the only thing that makes tables."""
