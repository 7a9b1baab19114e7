"""Small shared parts that import no app."""
