"""Requests, tokens and open calls by key: counted in Redis, or by one process while Redis is away."""
