"""Settings of Exerati."""
