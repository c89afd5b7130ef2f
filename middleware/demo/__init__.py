"""`waybill demo`: a shop, its payments and an ERP here, over real HTTP, with faults on, and what became of every order."""

from __future__ import annotations

from middleware.demo.run import run

__all__ = ["run"]
