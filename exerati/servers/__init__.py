"""The servers and processes of one machine: what `up` and the test suite start and end."""
