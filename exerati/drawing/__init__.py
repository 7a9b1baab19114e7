"""HTML and SVG made in Python: charts, numbers as people read them, highlighted code."""
