"""
A stand-in for Stripe on the loopback, for tests and for `up` without a Stripe key.

It takes and gives only what Stripe's own OpenAPI document allows (`contract`), keeps objects in memory and walks
them through Stripe's states, signs and delivers webhooks, and fails on command (`control`).
"""
