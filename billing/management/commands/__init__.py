"""Operator commands about keys and wallets."""
