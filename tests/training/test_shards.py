"""Photos in shards: the same photos, in the same order, with the same results as files."""

import io
import json
import os
import shutil
import sys
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from training import extract_features, train_model
from training.environment import JobInputError
from training.errors import PhotosError
from training.photo_batches import photo_batches
from training.photo_list import ROW, LabelledPhoto, list_files
from training.photo_set import PhotoReader, open_photo_set
from training.prepare import main, prepare
from training.shards import INDEX, open_shards, shard_files, write_shards
from training.sources import Source
from training.world import World, plan_batches
from vision.backbones import Backbone, LoadedBackbone
from vision.pixels import Picture
from vision.preprocessing import Preprocessing

SetMaker = Callable[..., Path]
FOLDERS = ("001.Red_dog", "002.Blue_dog")


@pytest.fixture
def sharded(prepared: Path) -> Path:
    """Return the prepared data set with its training and validation photos in shards of five."""
    copy = prepared.parent / "sharded"
    shutil.copytree(prepared, copy)
    for split in ("train", "valid"):
        shard_files(copy / split, FOLDERS, list_files(copy / split, FOLDERS), 5)
    return copy


def test_shards_hold_exactly_the_photos_in_the_order_of_the_files(prepared: Path, sharded: Path) -> None:
    files, shards = open_photo_set(prepared), open_photo_set(sharded)
    assert (files.classes, files.fingerprint) == (shards.classes, shards.fingerprint)
    for split in ("train", "valid", "test"):
        pairs = list(zip(files.splits[split], shards.splits[split], strict=True))
        assert all(one.read() == other.read() and one.label == other.label for one, other in pairs)
        assert all(one.path.relative_to(prepared) == other.path.relative_to(sharded) for one, other in pairs)


def test_a_split_in_shards_is_a_few_files(sharded: Path) -> None:
    names = ["000000.tar", "000001.tar", "000002.tar", "000003.tar", INDEX]
    assert sorted(path.name for path in (sharded / "train").iterdir()) == names
    assert sorted(path.name for path in (sharded / "test").iterdir()) == list(FOLDERS)


def test_shards_read_as_the_library_webdataset_reads_them(sharded: Path) -> None:
    with tarfile.open(sharded / "train" / "000001.tar") as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    assert sorted(members) == sorted(f"{number:07d}.{ending}" for number in range(5, 10) for ending in ("jpg", "cls"))
    assert [int(members[f"{number:07d}.cls"]) for number in range(5, 10)] == [0, 0, 0, 1, 1]
    assert Image.open(io.BytesIO(members["0000005.jpg"])).size == (48, 40)


def test_names_of_any_kind_are_kept(tmp_path: Path) -> None:
    photos = [
        (LabelledPhoto(tmp_path / "柴犬" / "a.b c.jpg", 0), b"1"),
        (LabelledPhoto(tmp_path / "B" / "é.jpg", 1), b"2"),
    ]
    write_shards(tmp_path, ("柴犬", "B"), iter(photos), 1)
    folders, found = open_shards(tmp_path)
    assert folders == ("柴犬", "B")
    assert [(photo.path, photo.label, photo.read()) for photo in found] == [
        (p.path, p.label, data) for p, data in photos
    ]


def test_a_list_is_taken_apart_as_a_tuple_is(sharded: Path) -> None:
    photos = open_photo_set(sharded).splits["train"]
    whole = tuple(photos)
    assert (len(photos), photos[-1], photos[3]) == (16, whole[-1], whole[3])
    for part in (slice(3, 9), slice(1, None, 2), slice(0, 0)):
        assert tuple(photos[part]) == whole[part]
    assert photos.labels.tolist() == [photo.label for photo in whole]
    with pytest.raises(IndexError):
        photos[16]


def test_a_listed_photo_costs_a_few_bytes(tmp_path: Path) -> None:
    photos = ((LabelledPhoto(tmp_path / FOLDERS[n % 2] / f"{n}.jpg", n % 2), b"x") for n in range(2000))
    write_shards(tmp_path, FOLDERS, photos, 1000)
    assert (tmp_path / INDEX).stat().st_size < 2000 * 60


def test_a_list_of_100_000_photos_takes_some_bytes_each(tmp_path: Path) -> None:
    count = 100_000
    names = b"".join(b"001.Red_dog/%06d.jpg" % number for number in range(count))
    rows = np.zeros(count, ROW)
    rows["name"], rows["name_bytes"] = np.arange(count) * 22, 22
    np.savez(tmp_path / INDEX, rows=rows, names=np.frombuffer(names, np.uint8), folders=np.array(FOLDERS))
    (tmp_path / "000000.tar").touch()
    tracemalloc.start()
    _, photos = open_shards(tmp_path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert photos[99_999].path == tmp_path / "001.Red_dog" / "099999.jpg"
    assert held < 100 * count
    assert peak < 200 * count


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_processes_of_a_training_share_the_shards_photos(sharded: Path, processes: int) -> None:
    photos = open_photo_set(sharded).splits["train"]
    order = torch.randperm(len(photos), generator=torch.Generator().manual_seed(0)).tolist()
    plans = [plan_batches(6, 2, World(rank, processes)) for rank in range(processes)]
    read = [photos[number].read() for plan in plans for part in plan.share(order) for number in part]
    assert sorted(read) == sorted(photo.read() for photo in photos)
    own = [photos[rank::processes] for rank in range(processes)]  # as the validation photos are shared
    assert sorted(photo.read() for part in own for photo in part) == sorted(read)


def number_as_view(number: int, image: Picture) -> torch.Tensor:
    return torch.full((1, 1, 1, 1), number)


def test_a_cut_shard_costs_the_photos_in_it_and_names_itself(sharded: Path) -> None:
    shard, log = sharded / "train" / "000002.tar", list[str]()
    photos = open_photo_set(sharded)
    third = photos.splits["train"][12].stretch
    assert third is not None
    os.truncate(shard, third.offset + 10)
    reader = PhotoReader(sharded, log.append)
    labels = torch.cat([b.labels for b in photo_batches(photos.splits["train"], reader, number_as_view, 4)])
    assert len(labels) == 13
    assert len(log) == len(reader.left_out) == 3
    fourth, *others = sorted(log)  # threads read them, any of them first
    assert fourth.startswith("left out train/002.Blue_dog/4.jpg: 000002.tar is cut: 10 of the photo's ")
    assert all("000002.tar is cut: 0 of" in line for line in others)


def damage(folder: Path, place: str) -> None:
    """Write rubbish into one photo, wherever it stands."""
    [photo] = [each for each in open_photo_set(folder).splits["train"] if each.path == folder / place]
    with (photo.path if photo.stretch is None else photo.stretch.file).open("r+b") as file:
        file.seek(0 if photo.stretch is None else photo.stretch.offset)
        file.write(b"rubbish, and more of it")


def test_rubbish_in_a_shard_costs_one_photo(sharded: Path) -> None:
    damage(sharded, "train/001.Red_dog/6.jpg")
    reader = PhotoReader(sharded, lambda line: None)
    found = [reader.read(photo) for photo in open_photo_set(sharded).splits["train"]]
    assert [number for number, pixels in enumerate(found) if pixels is None] == [6]
    assert reader.left_out == ("train/001.Red_dog/6.jpg",)


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "valid" / "000001.tar").unlink()
    with pytest.raises(JobInputError, match=r"000001.tar of .*valid missing"):
        open_photo_set(sharded)


def test_an_index_cut_anywhere_is_refused(sharded: Path) -> None:
    index = sharded / "train" / INDEX
    whole = index.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:size])
        with pytest.raises(JobInputError, match=r"index.npz is damaged: .*run prepare.py again"):
            open_photo_set(sharded)


@pytest.mark.parametrize("wrong", ["label", "name", "shard", "dtype"])
def test_an_index_that_does_not_fit_itself_is_refused(sharded: Path, wrong: str) -> None:
    path = sharded / "train" / INDEX
    with np.load(path) as index:
        arrays = {name: index[name] for name in index.files}
    if wrong == "dtype":
        arrays["rows"] = np.zeros(3)
    else:
        arrays["rows"][wrong][3] = 1_000_000
    np.savez(path, **arrays)
    with pytest.raises(JobInputError, match=r"index.npz is damaged"):
        open_photo_set(sharded)


def test_splits_of_other_classes_are_refused(sharded: Path) -> None:
    with np.load(sharded / "valid" / INDEX) as index:
        arrays = {name: index[name] for name in index.files}
    np.savez(sharded / "valid" / INDEX, **{**arrays, "folders": arrays["folders"][::-1]})
    with pytest.raises(JobInputError, match="valid are of other classes than those in train"):
        open_photo_set(sharded)


def test_a_class_without_a_photo_in_the_shards_is_named(sharded: Path) -> None:
    with np.load(sharded / "valid" / INDEX) as index:
        arrays = {name: index[name] for name in index.files}
    np.savez(sharded / "valid" / INDEX, **{**arrays, "rows": arrays["rows"][:3]})
    with pytest.raises(JobInputError, match=r"class folder .*002.Blue_dog holds no photos"):
        open_photo_set(sharded)


def test_a_shard_that_cannot_be_opened_costs_its_photos(sharded: Path) -> None:
    photos = open_photo_set(sharded).splits["train"]
    (sharded / "train" / "000000.tar").unlink()
    reader = PhotoReader(sharded, lambda line: None)
    assert [reader.read(photo) is None for photo in photos] == [True] * 5 + [False] * 11


COMPLETE: dict[str | None, dict[str, int]] = {
    split: {"001.Pug": count, "002.Boxer": count} for split, count in {"train": 4, "valid": 2, "test": 1}.items()
}


def test_prepare_leaves_shards_where_it_is_asked_to(make_set: SetMaker, tmp_path: Path) -> None:
    source = Source(str(make_set(COMPLETE)))
    files = prepare(source, tmp_path / "files", 0)
    shards = prepare(source, tmp_path / "shards", 0, shard_photos=3)
    assert files == shards  # the same photos, the same fingerprint
    found = sorted(path.relative_to(tmp_path / "shards").as_posix() for path in (tmp_path / "shards").glob("*/*/*"))
    assert found == ["test/001.Pug/0.jpg", "test/002.Boxer/0.jpg"]
    assert len(list((tmp_path / "shards").glob("train/*.tar"))) == 3
    read = {s: [p.read() for p in photos] for s, photos in open_photo_set(tmp_path / "shards").splits.items()}
    assert read == {s: [p.read() for p in photos] for s, photos in open_photo_set(tmp_path / "files").splits.items()}


def test_the_same_photos_make_the_same_shards(make_set: SetMaker, tmp_path: Path) -> None:
    source = Source(str(make_set(COMPLETE)))
    for name in ("one", "two"):
        prepare(source, tmp_path / name, 0, shard_photos=3)
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("train/*"))
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_shards_and_files_replace_each_other(make_set: SetMaker, tmp_path: Path) -> None:
    source, target = str(make_set(COMPLETE)), tmp_path / "out"
    for more in (["--shard-photos", "3"], [], ["--shard-photos", "100"]):
        assert main(["--source", source, "--model-dir", str(target), *more]) == 0
        assert len(open_photo_set(target).splits["train"]) == 8
        assert len(list(target.glob("train/*.tar"))) == (1 if "100" in more else 3 if more else 0)


def test_an_interrupted_prepare_leaves_nothing_half_written(
    make_set: SetMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = Source(str(make_set(COMPLETE))), tmp_path / "out"
    before = prepare(source, target, 0, shard_photos=3)

    def full(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        if name.startswith("0000004"):
            raise OSError(28, "No space left on device")
        tar.addfile(tarfile.TarInfo(name))

    monkeypatch.setattr("training.shards._add", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(source, target, 0, shard_photos=2)
    monkeypatch.undo()
    assert len(list(target.glob("train/*.tar"))) == 3  # what was there before
    assert len(open_photo_set(target).splits["train"]) == before.totals["train"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


@pytest.mark.parametrize("given", ["-1", "1.5", "many"])
def test_a_wrong_number_of_photos_per_shard_is_refused(
    tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--source", str(tmp_path), "--model-dir", str(tmp_path / "out"), "--shard-photos", given])
    assert "--shard-photos" in capsys.readouterr().err


def test_a_source_without_photos_is_refused_as_without_shards(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(PhotosError, match="holds no photos"):
        prepare(Source(str(tmp_path / "photos")), tmp_path / "out", 0, shard_photos=3)


def test_the_same_seed_gives_the_same_features_bit_for_bit(
    prepared: Path, sharded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 7, 4), nn.AdaptiveAvgPool2d(2), nn.Flatten()).eval()
    look = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    backbone = LoadedBackbone(Backbone("small", network, [("all", [network])], 32, look), "drawn")
    monkeypatch.setattr(extract_features, "load_backbone", lambda *args: backbone)
    left = []
    for folder in (prepared, sharded):
        for broken in ("train/001.Red_dog/3.jpg", "train/002.Blue_dog/7.jpg"):
            damage(folder, broken)
        target = folder.parent / f"features-{folder.name}"
        extract_features.main(["--prepared", str(folder), "--model-dir", str(target), "--views", "2", "--seed", "3"])
        left.append({path.name: path.read_bytes() for path in target.iterdir()})
    assert left[0] == left[1]
    spec = json.loads(left[0]["features.json"])
    assert (spec["counts"]["train"], len(spec["left_out"])) == (14, 2)


@pytest.mark.slow
@pytest.mark.parametrize("views", ["1", "0"])  # cached activations, and photos read again in every epoch
def test_the_same_seed_gives_the_same_model_bit_for_bit(
    prepared: Path, sharded: Path, monkeypatch: pytest.MonkeyPatch, views: str
) -> None:
    monkeypatch.setattr("training.environment.StopSignal.listen", lambda self: self)
    monkeypatch.setitem(sys.modules, "smdebug", None)
    left = []
    for folder in (prepared, sharded):
        root = folder.parent / f"job-{folder.name}"
        given = ["--prepared", str(folder)]
        extract_features.main([*given, "--backbone", "efficientnet_lite0", "--model-dir", str(root / "features")])
        places = ["--features", str(root / "features"), "--model-dir", str(root / "model"), "--output-dir", str(root)]
        options = ["--epochs", "5", "--fine-tune-epochs", "2", "--fine-tune-views", views, "--seed", "3"]
        train_model.main([*given, *places, "--checkpoint-dir", str(root / "checkpoints"), *options])
        metrics = json.loads((root / "model" / "metrics.json").read_text(encoding="utf-8"))
        del metrics["findings"]  # the profiler's: of how long this run took and waited, never the same twice
        left.append(((root / "model" / "weights.pt").read_bytes(), metrics))
    assert left[0] == left[1]
