"""The public documentation: Markdown of `docs/site/` as pages, search, reference and changelog."""
