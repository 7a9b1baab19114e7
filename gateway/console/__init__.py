"""HTML pages of the dashboard that touch calls: playground, limits, key test, command palette."""
