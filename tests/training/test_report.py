import dataclasses
import html.parser
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest

from training.calibration import Bin
from training.history import Epoch
from training.learning_curve import Verdict, VerdictKind, judge
from training.report import ReportData, write_report

HOSTILE = "<script>alert('x')</script>"


def manifest(labels: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    counts = {"train": 8 * len(labels), "valid": len(labels), "test": 4 * len(labels)}
    return {
        "source": "toy",
        "fingerprint": "f1" * 32,
        "seed": 0,
        "splits": "as the source has them",
        "counts": counts,
        "left_out": 1,
        "converted": 0,
        "resized": 0,
        "class_folders": [
            {"folder": label, "label": label, "counts": {"train": 8, "valid": 1, "test": 4}} for label in labels
        ],
        "photos_left_out": [{"path": "train/Pug/cut.jpg", "reason": "the JPEG photo is damaged"}],
        "photos_converted": [],
    } | changes


def report_data(**changes: Any) -> ReportData:
    labels = changes.get("labels", ("Pug", "Boxer", "Corgi"))
    probe = [Epoch(n, "probe", 1 / n, 1 - 0.3 / n, 1.1 / n, 1 - 0.4 / n, 0.2) for n in range(1, 6)]
    tuned = [Epoch(n, "fine-tune", 0.5 / n, 0.99, 0.8 / n, 0.96, 9.0) for n in range(6, 9)]
    history = tuple(probe + tuned)
    data = ReportData(
        backbone="resnet50",
        labels=labels,
        history=history,
        verdict=judge(history, len(labels)),
        valid_accuracy=0.9583,
        valid_loss=0.123,
        test_accuracy=0.9167,
        test_loss=0.2,
        hyperparameters={"lr": 0.0123, "batch_size": 64, "epochs": 5},
        seed=7,
        manifest=manifest(labels),
        trials=(
            {"name": "t-1", "status": "Completed", "objective": 0.91, "hyperparameters": {"lr": "0.01", "epochs": "5"}},
            {"name": "t-2", "status": "Completed", "objective": 0.95, "hyperparameters": {"lr": "0.05", "epochs": "9"}},
            {"name": "t-3", "status": "Failed", "objective": None, "hyperparameters": {"lr": "0.1", "epochs": "7"}},
        ),
        confusion=((4, 0, 0), (1, 3, 0), (0, 0, 4)),
        versions={"torch": "2.14.1"},
        notices=("backbone auto: fell back",),
        created="2026-11-22",
    )
    return dataclasses.replace(data, **changes)


def page(tmp_path: Path, **changes: Any) -> str:
    write_report(tmp_path / "report.html", report_data(**changes))
    return (tmp_path / "report.html").read_text(encoding="utf-8")


class Outline(html.parser.HTMLParser):
    """Collects what a browser would make elements of; fails on tags that are never closed."""

    void = frozenset({"meta", "link", "br", "wbr", "path", "use", "ellipse", "rect", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("src", "href", "xlink:href") and value:
                self.addresses.append(value)
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.void:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


def test_the_page_says_what_matters(tmp_path: Path) -> None:
    text = page(tmp_path)
    for part in (
        "91.7% of 12 test photos named right",
        "95.8%",
        "resnet50",
        "Good fit",
        "The lines meet low",
        "Backbone auto: fell back",
        "Tuning: 3 trials",
        "<strong>Boxer</strong> taken for <strong>Pug</strong>: 1 of 4",
        "train/Pug/cut.jpg",
        "the JPEG photo is damaged",
        "f1f1f1",
        "2.14.1",
        "0.0123",
    ):
        assert part in text, part


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    outline = Outline(page(tmp_path))
    assert "script" not in outline.tags
    assert outline.tags.count("svg") == 5  # the mark, two curves, two hyperparameters
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)


def test_ids_are_unique_and_references_lead_to_them(tmp_path: Path) -> None:
    outline = Outline(page(tmp_path))
    assert len(set(outline.ids)) == len(outline.ids)
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", page(tmp_path))) <= set(outline.ids)


def test_the_charts_take_their_colours_from_the_page(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "#0a000" not in text
    assert "stroke: var(--train)" in text


def test_every_chart_is_named_and_has_a_table(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.count('<figure class="card" role="group" aria-label="Chart: ') == 4
    assert '<tr><th scope="row">8</th><td>fine-tuning</td>' in text


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    labels = (HOSTILE, '"><img src=x onerror=alert(1)>', "$\\frac{1}{0}$")
    trial = {"name": HOSTILE, "status": HOSTILE, "objective": 0.5, "hyperparameters": {HOSTILE: "1", "$x_{$": "2"}}
    remarks = [{"path": HOSTILE, "reason": HOSTILE}]
    text = page(
        tmp_path,
        labels=labels,
        manifest=manifest(labels, source=HOSTILE, photos_left_out=remarks, photos_converted=remarks),
        trials=(trial,),
        versions={HOSTILE: HOSTILE},
        notices=(HOSTILE,),
        hyperparameters={HOSTILE: HOSTILE},
        backbone=HOSTILE,
    )
    outline = Outline(text)
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    assert "&lt;script&gt;" in text


def test_the_best_trial_comes_first_and_failed_ones_last(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.index(">t-2</th>") < text.index(">t-1</th>") < text.index(">t-3</th>")
    assert '<tr class="best"><th scope="row">t-2</th>' in text


def test_a_page_without_trials_confusion_test_and_remarks_leaves_those_parts_out(tmp_path: Path) -> None:
    labels = ("Pug", "Boxer")
    text = page(
        tmp_path,
        labels=labels,
        manifest=manifest(labels, photos_left_out=[], left_out=0),
        trials=(),
        confusion=(),
        versions={},
        notices=(),
        test_accuracy=None,
        test_loss=None,
        created="",
    )
    assert "95.8% of 2 validation photos named right" in text
    for part in ("Tuning", "Mistakes", "Left out:", "Versions"):
        assert part not in text


def test_a_data_set_without_a_manifest_does_not_cost_the_page(tmp_path: Path) -> None:
    text = page(tmp_path, manifest={})
    assert "91.7% of the test photos named right" in text
    assert "came without a manifest" in text


def test_a_training_that_diverged_can_be_shown(tmp_path: Path) -> None:
    history = (Epoch(1, "probe", math.nan, 0.1, math.inf, 0.1, 1.0),)
    text = page(tmp_path, history=history, verdict=judge(history, 3), valid_loss=math.nan, test_loss=math.nan)
    assert "Diverged" in text
    assert "not a number" in text


def test_a_training_without_epochs_can_be_shown(tmp_path: Path) -> None:
    assert "Too short to say" in page(tmp_path, history=(), verdict=judge((), 3))


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_every_verdict_can_be_shown(tmp_path: Path, kind: VerdictKind) -> None:
    assert kind.capitalize() in page(tmp_path, verdict=Verdict(kind, "text", "advice"))


def test_a_test_set_without_mistakes_says_so(tmp_path: Path) -> None:
    assert "Not one: every test photo was named right." in page(tmp_path, confusion=((4, 0, 0), (0, 4, 0), (0, 0, 4)))


def test_hundreds_of_classes_and_remarks_stay_readable(tmp_path: Path) -> None:
    labels = tuple(f"Breed {n}" for n in range(133))
    remarks = [{"path": f"{n}.jpg", "reason": "bad"} for n in range(500)]
    confusion = tuple(tuple(3 if i == j else int(j == (i + 1) % 133) for j in range(133)) for i in range(133))
    text = page(tmp_path, labels=labels, manifest=manifest(labels, photos_left_out=remarks), confusion=confusion)
    assert "confusion matrix" not in text
    assert text.count(" taken for ") == 10
    assert "and 300 more, all in manifest.json" in text


def test_the_same_data_give_the_same_page(tmp_path: Path) -> None:
    assert page(tmp_path) == page(tmp_path)


def test_no_half_page_is_left_where_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        page(tmp_path, manifest=manifest(("Pug",)) | {"class_folders": [{}]})
    assert list(tmp_path.iterdir()) == []


def test_writing_the_page_takes_little_time(tmp_path: Path) -> None:
    page(tmp_path)  # matplotlib is imported
    started = time.process_time()
    page(tmp_path)
    assert time.process_time() - started < 3


def split_calibration(error: float) -> dict[str, float]:
    return {
        "loss_before": 0.4,
        "loss": 0.3,
        "calibration_error_before": 0.08,
        "calibration_error": error,
        "confident": 1,
    }


CALIBRATION = {
    "temperature": 1.75,
    "confident_from": 0.61,
    "bins": 15,
    "valid": split_calibration(0.011),
    "test": split_calibration(0.023),
}
BINS = ((Bin(14 / 15, 1.0, 12, 0.99, 0.75),), (Bin(0.8, 13 / 15, 12, 0.81, 0.75),))


def test_the_reliability_is_shown_with_its_table(tmp_path: Path) -> None:
    text = page(tmp_path, calibration=CALIBRATION, reliability=BINS)
    assert "a temperature of 1.75" in text
    assert "2.3% apart on average (8.0% before)" in text
    assert "sure from a probability of 61.0% on" in text
    assert text.count('<figure class="card" role="group" aria-label="Chart: ') == 5
    row = (
        '<tr><th scope="row">80.0% to 86.7%</th><td>none</td><td></td><td></td><td>12</td><td>81.0%</td><td>75.0%</td>'
    )
    assert row in text


def test_a_model_that_is_not_asked_whether_it_is_sure_is_not_said_to_be(tmp_path: Path) -> None:
    text = page(tmp_path, calibration=CALIBRATION | {"confident_from": None}, reliability=BINS)
    assert "How far its probabilities can be believed" in text
    assert "counts as sure" not in text
