"""One translator for each provider API, and the only door to the network."""
