"""One file per revision, newest last."""
