"""What the server counts, read back as Prometheus and CloudWatch read it."""

import asyncio
import json
import logging
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.logs import JsonFormatter
from serving.telemetry import Stage, Telemetry, evenly


def samples(telemetry: Telemetry) -> dict[tuple[str, frozenset[str]], float]:
    families = text_string_to_metric_families(telemetry.page().decode())
    return {(s.name, frozenset(s.labels.values())): s.value for family in families for s in family.samples}


def labels(*values: str) -> frozenset[str]:
    return frozenset(values)


def test_requests_are_counted_by_path_status_and_code() -> None:
    telemetry = Telemetry()
    telemetry.request("/invocations", 200, "OK", 0.02)
    telemetry.request("/invocations", 503, "ModelUnavailable", 0.001)
    telemetry.request("/metrics", 200, "OK", 0.5)
    found = samples(telemetry)
    assert found["pedigree_requests_total", labels("/invocations", "200", "OK")] == 1
    assert found["pedigree_requests_total", labels("/invocations", "503", "ModelUnavailable")] == 1
    assert found["pedigree_requests_total", labels("/metrics", "200", "OK")] == 1
    assert found["pedigree_stage_seconds_count", labels("whole")] == 2


def test_stages_batches_restarts_and_the_engine_are_on_the_page() -> None:
    telemetry = Telemetry()
    telemetry.observe(Stage.DECODE, 0.003)
    telemetry.batch(8)
    telemetry.restarted()
    telemetry.engine({"pick": "openvino", "batch": 8, "candidates": [{"kind": "eager"}]})
    found = samples(telemetry)
    assert found["pedigree_stage_seconds_sum", labels("decode")] == pytest.approx(0.003)
    assert found["pedigree_batch_photos_sum", labels()] == 8
    assert found["pedigree_model_restarts_total", labels()] == 1
    assert found["pedigree_engine_info", labels("8", "openvino")] == 1


def test_what_can_change_at_any_time_is_asked_when_somebody_looks() -> None:
    telemetry, state = Telemetry(), {"ready": False, "waiting": 3}
    telemetry.watch(ready=lambda: bool(state["ready"]), waiting=lambda: state["waiting"], body_bytes=lambda: 7)
    before = samples(telemetry)
    state.update(ready=True, waiting=0)
    after = samples(telemetry)
    name = "pedigree_ready"
    assert (before[name, labels()], after[name, labels()]) == (0, 1)
    assert (before["pedigree_queue_requests", labels()], after["pedigree_queue_requests", labels()]) == (3, 0)
    assert after["pedigree_body_bytes", labels()] == 7


def assert_is_emf(line: dict[str, Any]) -> None:
    """Hold a line against the embedded metric format's schema, as far as ours uses it."""
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert directive["Namespace"]
    for names in directive["Dimensions"]:
        assert all(isinstance(line[name], str) and 0 < len(line[name]) <= 1024 for name in names)
    for metric in directive["Metrics"]:
        assert metric["Unit"] in ("Count", "Milliseconds")
        value = line[metric["Name"]]
        assert isinstance(value, int | float) or 0 < len(value) <= 100


def test_a_line_for_cloudwatch_says_what_happened_since_the_last_one() -> None:
    telemetry = Telemetry("arn:aws:sagemaker:eu-west-1:1:model-package/dogs/3")
    for i in range(250):
        telemetry.request("/invocations", 503 if i == 0 else 400 if i < 3 else 200, "OK", i / 1000)
    telemetry.restarted()
    line = telemetry.emf(1_700_000_000.5)
    assert_is_emf(line)
    assert line["_aws"]["Timestamp"] == 1_700_000_000_500
    assert (line["Requests"], line["ClientErrors"], line["ServerErrors"], line["ModelRestarts"]) == (250, 2, 1, 1)
    assert (line["Latency"][0], line["Latency"][-1]) == (0, 249)
    quiet = telemetry.emf(1_700_000_060.0)
    assert_is_emf(quiet)
    assert (quiet["Requests"], quiet["ModelRestarts"]) == (0, 0)
    assert "Latency" not in quiet


def test_lines_for_cloudwatch_are_whole_log_lines_and_the_last_minute_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = Telemetry()

    async def session() -> None:
        reporting = asyncio.create_task(telemetry.report(seconds=3600))
        await asyncio.sleep(0)
        telemetry.request("/invocations", 200, "OK", 0.02)
        reporting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reporting

    with caplog.at_level(logging.INFO, "serving"):
        asyncio.run(session())
    (record,) = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert_is_emf(line)
    assert line["Requests"] == 1


def test_of_many_latencies_evenly_spaced_ones_are_kept_with_both_ends() -> None:
    assert evenly([1.0, 2.0], 3) == [1.0, 2.0]
    kept = evenly([float(i) for i in range(1000)], 100)
    assert (len(kept), kept[0], kept[-1]) == (100, 0.0, 999.0)
    assert kept == sorted(set(kept))
