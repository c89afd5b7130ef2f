"""One file per business question: (message, work) → state changes and asks. No connector, no Flask, no Celery."""
