"""Measurements that anyone can repeat; results with their date are in RESULTS.md."""
