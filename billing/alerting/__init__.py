"""What an organization is told of its spending: noticed, put into words, mailed, read."""
