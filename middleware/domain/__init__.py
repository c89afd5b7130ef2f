"""Pure rules: transition tables, retry, totals, redaction."""
