"""With what: API keys and the rules on them."""
