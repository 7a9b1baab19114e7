"""Postpaid: billing periods, the invoices made of them, and what becomes of an invoice."""
