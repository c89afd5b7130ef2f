"""What stands between the HTTP client and the network: the total time limit, rate limits, breakers."""
