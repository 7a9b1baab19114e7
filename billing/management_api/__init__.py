"""The management API `/api`: an organization's usage, requests, balance, ledger and keys, to read."""
