"""What outlives a request: log lines, saved state, worker processes."""

import logging
import threading
import time
from typing import Any

from local_cloud.settings import ACCOUNT, REGION

_logger = logging.getLogger(__name__)


def append_log_lines(group_name: str, stream_name: str, lines: list[tuple[int, str]], keep: int) -> None:
    """Add (epoch milliseconds, text) lines to a log stream, created when missing; the oldest beyond ``keep`` go."""
    from ministack.core import responses
    from ministack.services import cloudwatch_logs

    now = int(time.time() * 1000)
    with responses.request_scope(ACCOUNT, REGION):
        # Both in one step each: a request may make the same group meanwhile.
        group = cloudwatch_logs._log_groups.setdefault(
            group_name,
            {
                "arn": cloudwatch_logs._make_group_arn(group_name),
                "creationTime": now,
                "retentionInDays": None,
                "logGroupClass": "STANDARD",
                "kmsKeyId": None,
                "tags": {},
                "subscriptionFilters": {},
                "streams": {},
            },
        )
        stream = group["streams"].setdefault(
            stream_name,
            {
                "events": [],
                "uploadSequenceToken": "1",
                "creationTime": now,
                "firstEventTimestamp": None,
                "lastEventTimestamp": None,
                "lastIngestionTime": None,
            },
        )
        events = [{"timestamp": moment, "message": text, "ingestionTime": now} for moment, text in lines]
        cloudwatch_logs._append_log_events(stream, events)
        with cloudwatch_logs._log_events_lock:
            # A tenth at once: cutting a list costs its length, and most batches are small.
            if len(stream["events"]) > keep + keep // 10:
                del stream["events"][:-keep]


_saving = threading.Lock()


def save_state() -> None:
    """Write every service's state; MiniStack itself does so only when it ends in order."""
    from ministack import app
    from ministack.core import persistence

    with _saving:
        for name, get_state in app._build_persistence_save_dict().items():
            state = _snapshot(name, get_state)
            if state is not None:
                persistence.save_state(name, state)


def _snapshot(name: str, get_state: Any) -> Any:
    """Copy a service's state while requests go on; a copy that a request disturbed is made again."""
    for _ in range(5):
        try:
            return get_state()
        except RuntimeError:  # dictionary changed size during iteration
            time.sleep(0.05)
    _logger.warning("%s changes too fast to be saved now; it is saved the next time", name)
    return None


def stop_workers() -> None:
    """End every Lambda worker process."""
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
