"""Names the request that a line of the log is about, by the id that its answer has (`exerati.answers`)."""

import logging


class RequestIdFilter(logging.Filter):
    """Puts the id of its request on each line of the log that knows one, with a blank before it."""

    def filter(self, record: logging.LogRecord) -> bool:
        found = getattr(getattr(record, "request", None), "request_id", "")
        record.request_id = f" {found}" if found else ""
        return True
