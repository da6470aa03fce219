"""Races against other packages: time to a stated shortfall from a known optimum, in nats."""
