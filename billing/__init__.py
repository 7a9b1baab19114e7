"""How much: prices, budgets, usage, ledger, invoices."""
