import re

import pytest

from contract.metrics import ALL, TRAIN_LOSS, VALID_LOSS, Metric, Reading, read_line


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_sagemakers_expression_reads_what_the_job_prints(metric: Metric) -> None:
    found = re.search(metric.regex, metric.line(0.987654))
    assert found is not None
    assert float(found[1]) == 0.987654


def test_an_expression_reads_no_other_metric() -> None:
    assert re.search(VALID_LOSS.regex, TRAIN_LOSS.line(1.0)) is None


def test_an_epochs_line_is_read_back_with_its_epoch() -> None:
    assert read_line("10:12 " + TRAIN_LOSS.line(0.25, epoch=3)) == Reading("train:loss", 0.25, 3)


def test_a_diverged_loss_is_still_read() -> None:
    reading = read_line(TRAIN_LOSS.line(float("nan")))
    assert reading is not None
    assert reading.value != reading.value


def test_other_lines_hold_no_metric() -> None:
    assert read_line("epoch 3 of 8, 12 s left") is None
