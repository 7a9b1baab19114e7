"""From a public model name to a provider: order, preferences, health, retries and our provider accounts."""
