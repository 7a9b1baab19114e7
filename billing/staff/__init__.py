"""Support's view of billing in the Django admin, beside `billing.admin`."""
