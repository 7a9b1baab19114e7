"""DRF endpoints of /v1: parse, one call of dispatch, answer."""
