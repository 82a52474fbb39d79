import re
from pathlib import Path
from typing import Any

import pytest

from tests.training.report.outline import Outline
from tests.training.report.sample import (
    FINDINGS,
    class_rows,
    manifest,
    metrics,
    predictions,
    report_data,
    trials,
    write_photos,
)
from training.history import Epoch
from training.learning_curve import VerdictKind
from training.report.data import Prediction, ReportData
from training.report.page import render, write_report

HOSTILE = "<script>alert('x')</script>"
CHARTS = 2 + 1 + 1 + 1 + 3 + 1 + 3  # curves, classes, reliability, parallel, by hyperparameter, mattered, profile


@pytest.fixture(scope="module")
def page() -> str:
    return render(report_data())


def test_the_page_says_what_matters(page: str) -> None:
    for part in (
        "91.7% of 12 test photos named right",
        "95.8%",
        "resnet50",
        "Good fit",
        "The lines meet low",
        "Backbone auto: fell back",
        "Tuning: 6 trials",
        "Boxer taken for Corgi: 1 of 4",
        "train/Pug/cut.jpg",
        "the JPEG photo is damaged",
        "f1f1f1",
        "2.14.1",
        "0.0123",
    ):
        assert part in page.replace("<bdi>", "").replace("</bdi>", ""), part


def test_names_are_kept_apart_from_the_direction_of_the_sentence_around_them(page: str) -> None:
    assert "<bdi>Boxer</bdi> taken for <bdi>Corgi</bdi>: 1 of 4" in page


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(page: str) -> None:
    outline = Outline(page)
    assert "script" not in outline.tags
    assert outline.tags.count("svg") == CHARTS + 1  # the mark
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {f"#{name}" for name in outline.ids}
    assert "@import" not in page


def test_ids_are_unique_and_references_lead_to_them(page: str) -> None:
    outline = Outline(page)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)


def test_the_charts_take_their_colours_from_the_page(page: str) -> None:
    assert "#0a000" not in page
    assert "stroke: var(--train)" in page
    assert not re.search(r'(?:fill|stroke)="var', page)  # browsers know no variables there


def test_every_chart_says_what_it_shows_and_has_its_numbers_in_a_table(page: str) -> None:
    charts = [attributes for attributes in Outline(page).with_role("img") if attributes.get("aria-label")]
    gone = [chart for chart in charts if "the photo is not shown" in str(chart["aria-label"])]
    assert len(charts) - len(gone) == CHARTS
    for section in re.findall(r"<section.*?</section>", page, re.DOTALL):
        assert section.count("<figure") == 0 or "<table" in section


def test_landmarks_headings_and_names_lead_through_the_page(page: str) -> None:
    outline = Outline(page)
    assert {tag: outline.tags.count(tag) for tag in ("main", "header", "footer", "nav", "h1")} == dict.fromkeys(
        ("main", "header", "footer", "nav", "h1"), 1
    )
    steps = [later - earlier for earlier, later in zip(outline.headings, outline.headings[1:], strict=False)]
    assert max(steps) <= 1, "a level of headings is left out"
    contents = [str(attributes.get("href")) for tag, attributes in outline.elements if tag == "a"]
    assert contents == [
        *("#content", "#learning", "#findings", "#mistakes", "#classes"),
        *("#calibration", "#trials", "#profile", "#photos", "#reproduce"),
    ]
    for tag, attributes in outline.elements:
        if tag == "img":
            assert attributes["alt"]
        if attributes.get("role") == "region":
            assert attributes["aria-label"]
            assert attributes["tabindex"] == "0"
    assert 'lang="en"' in page
    assert all(attributes.get("scope") for tag, attributes in outline.elements if tag == "th")


def test_names_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    labels = (HOSTILE, '"><img src=x onerror=alert(1)>', "$\\frac{1}{0}$")
    rows = class_rows(labels)
    said = tuple(Prediction(f"test/{HOSTILE}{n}.jpg", each.true, each.top) for n, each in enumerate(predictions(rows)))
    trial = {"name": HOSTILE, "status": HOSTILE, "objective": 0.5, "hyperparameters": {HOSTILE: "1", "$x_{$": "2"}}
    remarks = [{"path": HOSTILE, "reason": HOSTILE}]
    pair = {"photos": [HOSTILE] * 2, "splits": [HOSTILE] * 2, "labels": [HOSTILE] * 2, "identical": 1, "distance": 0}
    finding = {**FINDINGS["findings"][0], "rule": HOSTILE, "evidence": HOSTILE, "meaning": HOSTILE, "advice": HOSTILE}
    text = render(
        report_data(
            metrics=metrics(rows, versions={HOSTILE: HOSTILE}, notice=HOSTILE, backbone=HOSTILE),
            manifest=manifest(
                labels, source=HOSTILE, photos_left_out=remarks, photos_converted=remarks, near_duplicates=[pair]
            ),
            tuning={"trials": [trial, *trials()]},
            predictions=said,
            findings={"rules": [{"name": HOSTILE, "state": "failed", "why": HOSTILE}], "findings": [finding]},
            photos=tmp_path,
        )
    )
    outline = Outline(text)
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    assert "&lt;script&gt;" in text
    assert "This part could not be made" not in text


def test_labels_in_scripts_that_matplotlib_has_no_font_for_are_left_to_the_browser() -> None:
    labels = ("柴犬", "🐶", "כלב כנעני")
    text = render(report_data(metrics=metrics(class_rows(labels)), manifest=manifest(labels)))
    assert "This part could not be made" not in text
    assert all(text.count(label) > 2 for label in labels)


def test_a_page_of_the_metrics_alone_says_what_is_missing() -> None:
    text = render(ReportData(metrics(class_rows(("Pug", "Boxer")), calibration={})))
    for part in (
        "91.7% of the test photos named right",
        "No epochs are on record",
        "No rules were evaluated in this training",
        "Which photos these are is not on record",
        "Nothing was measured",
        "No trials are on record",
        "The training was not profiled",
        "came without a manifest",
        "python training/train_model.py",
    ):
        assert part in text, part
    assert "This part could not be made" not in text
    Outline(text)


@pytest.mark.parametrize(
    ("name", "rubbish"),
    [
        ("findings", {"rules": [{"state": "unheard of"}], "findings": [{"rule": 1}]}),
        ("profile", {"phases": [1, 2], "step_times": "no"}),
        ("tuning", {"trials": [{"objective": "good"}]}),
        ("manifest", {"counts": {"train": 1}, "class_folders": [{}]}),
        ("findings", {"rules": [], "findings": [{"severity": "error", "step": 1}]}),
        ("predictions", (Prediction("a.jpg", 99, ((98, 0.5),)),)),
    ],
)
def test_a_file_of_another_shape_costs_its_own_part_and_no_other(
    name: str, rubbish: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = render(report_data(**{name: rubbish}))
    assert text.count("This part could not be made") == 1
    assert "the report does without its part" in capsys.readouterr().out
    assert "Good fit" in text
    Outline(text)


def test_a_model_without_test_photos_is_judged_by_its_validation() -> None:
    rows: list[dict[str, Any]] = [
        {"label": label, "photos": 0, "accuracy": None, "taken_for": {}} for label in ("Pug", "Boxer")
    ]
    labels = ("Pug", "Boxer")
    text = render(report_data(labels, metrics=metrics(rows, test_accuracy=None, test_loss=None), predictions=()))
    assert "95.8% of 2 validation photos named right" in text
    assert "No test photos were looked at." in text


def test_a_training_that_diverged_can_be_shown() -> None:
    verdict = {"kind": "diverged", "text": "The loss was no longer a number.", "advice": "Train slower."}
    rows = class_rows(("Pug", "Boxer"))
    history = (Epoch(1, "probe", float("nan"), 0.1, float("inf"), 0.1, 1.0),)
    text = render(report_data(metrics=metrics(rows, verdict=verdict, valid_loss=float("nan")), history=history))
    assert "Diverged" in text
    assert "not a number" in text


@pytest.mark.parametrize("kind", list(VerdictKind))
def test_every_verdict_can_be_shown(kind: VerdictKind) -> None:
    said = {"kind": str(kind), "text": "text", "advice": "advice"}
    bare = ReportData(metrics(class_rows(("Pug", "Boxer")), verdict=said, calibration={}))
    assert kind.capitalize() in render(bare)


def test_133_classes_with_full_galleries_stay_below_5_megabytes(tmp_path: Path) -> None:
    labels = tuple(f"Breed number {n}" for n in range(133))
    rows = class_rows(labels, photos=6, wrong=2)
    said = predictions(rows)
    remarks = [{"path": f"{n}.jpg", "reason": "bad"} for n in range(500)]
    pairs = [
        {
            "photos": [said[n].photo, said[n + 1].photo],
            "splits": ["train", "test"],
            "labels": labels[:2],
            "identical": False,
            "distance": 2,
        }
        for n in range(300)
    ]
    data = report_data(
        labels,
        metrics=metrics(rows),
        predictions=said,
        manifest=manifest(labels, photos_left_out=remarks, near_duplicates=pairs),
        photos=write_photos(tmp_path / "photos", said),
        tuning={"trials": trials(50)},
    )
    write_report(tmp_path / "report.html", data)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.tags.count("img") == 10 * 4 + 24 + 12 + 12 * 2
    assert "and 300 more, all in manifest.json" in text
    assert "This part could not be made" not in text
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)


def test_pairs_that_the_manifest_counts_without_listing_them_are_counted() -> None:
    labels = ("Pug", "Boxer")
    place = {"photos": ["test/Pug/1.jpg", "train/Pug/2.jpg"], "splits": ["test", "train"], "labels": ["Pug", "Pug"]}
    counts = {"pairs": 900, "across_splits": 700, "two_classes": 3}
    pair = {**place, "identical": False, "distance": 18}
    text = render(report_data(labels, manifest=manifest(labels, near_duplicates=[pair], near_duplicate_counts=counts)))
    assert "700 pairs across splits" in text
    assert "3 pairs under two different classes" in text
    assert "and 899 more" in text


def test_the_same_data_give_the_same_page(page: str) -> None:
    assert render(report_data()) == page


def test_no_half_page_is_left_where_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_report(tmp_path / "report.html", ReportData({}))
    assert list(tmp_path.iterdir()) == []
