from pathlib import Path

from local_cloud.trail import Evaluation, Trail, read_trail

_ROLE = "arn:aws:iam::000000000000:role/a"


def test_what_was_added_is_read_back_in_order(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "permissions.jsonl")
    asked = [Evaluation(_ROLE, "job", f"s3:{name}", "*", name == "b", {"s3:prefix": "x"}, 1.0) for name in "ab"]
    for evaluation in asked:
        trail.add(evaluation)
    assert read_trail(trail.path) == asked


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "permissions.jsonl")
    trail.add(Evaluation(_ROLE, "job", "s3:GetObject", "*", True))
    whole = trail.path.read_text()
    trail.path.write_text(whole + whole[: len(whole) // 2])
    assert len(read_trail(trail.path)) == 1


def test_a_trail_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert read_trail(tmp_path / "permissions.jsonl") == []


def test_a_full_trail_keeps_the_newest_in_two_files(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "permissions.jsonl", max_bytes=1_000)
    for number in range(100):
        trail.add(Evaluation(_ROLE, str(number), "s3:GetObject", "*", True))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2_000
    kept = [int(evaluation.session) for evaluation in read_trail(trail.path)]
    assert kept == list(range(kept[0], 100))
    assert len(kept) > 5
