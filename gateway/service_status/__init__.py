"""The public status page, the probes that feed it, and incidents as staff tell them."""
