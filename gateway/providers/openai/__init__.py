"""OpenAI's API and the many that speak it, Azure among them, each with its quirks."""
