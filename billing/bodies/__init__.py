"""Stored bodies of requests and answers, for organizations that switched them on."""
