"""Where the performance figures come from: `python -m benchmarks.run` (`make bench`)."""
