"""HTML pages of the dashboard about usage and money: views, forms, words and charts."""
