"""The sandbox: a deterministic provider inside the process."""
