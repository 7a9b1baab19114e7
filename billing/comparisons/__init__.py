"""Our books beside what Stripe and the providers say."""
