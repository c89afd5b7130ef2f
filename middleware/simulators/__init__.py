"""Stand-ins for outside systems that the demo and the tests run over real HTTP."""
