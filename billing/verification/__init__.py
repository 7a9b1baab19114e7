"""`manage.py ledger verify`: the invariants of money over the live database, and what faults have cost."""
