"""The road itself: `pedigree run` on real photos, then the API, the stock AWS tools, a killed training and Ctrl-C."""

import os
import re
import signal
import struct
import time
import zlib
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.checkout import TEST_SECONDS, Finished, Up, copy_checkout, end

pytestmark = pytest.mark.timeout(TEST_SECONDS)


def test_the_whole_job_succeeds_on_real_photos(finished: Finished) -> None:
    assert finished.code == 0, finished.output
    summary = finished.summary
    assert summary["status"] == "SUCCEEDED"
    assert summary["classes"] == 3
    assert summary["best_hyperparameters"].keys() == {"lr", "batch_size", "epochs"}
    assert summary["test_accuracy"] >= 0.6
    assert summary["sample"]["true"]
    assert 0 < summary["sample"]["probability"] <= 1
    assert {"Prepare", "Extract features", "Tune", "Train", "Deploy", "Smoke test"} <= summary["seconds"].keys()
    assert summary["endpoint_name"]
    assert summary["api_url"].startswith("http")


def test_without_a_terminal_the_output_is_plain_lines(finished: Finished) -> None:
    assert "\x1b" not in finished.output
    assert "\r" not in finished.output
    assert "Predicted:" in finished.output


def test_bad_files_are_reported_and_the_unusual_one_is_used(finished: Finished) -> None:
    left_out = {Path(entry["path"]).name: entry["reason"] for entry in finished.summary["photos_left_out"]}
    assert left_out.keys() == {"notes.jpg", "empty.jpg", "cut.jpg"}
    assert "empty" in left_out["empty.jpg"]
    converted = {Path(entry["path"]).name: entry["reason"] for entry in finished.summary["photos_converted"]}
    assert "CMYK" in converted["print.jpg"]


def test_the_report_stands_alone(finished: Finished) -> None:
    page = (finished.checkout.root / "build" / "run" / "report.html").read_text("utf-8")
    assert "<svg" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']https?:""", page)


@pytest.mark.laptop_only("AWS leaves no processes here")
def test_a_run_leaves_no_process_and_no_connection(finished: Finished) -> None:
    assert not finished.checkout.processes()
    assert not (finished.checkout.root / "build" / "local-cloud" / "connection.json").exists()


def test_the_last_model_is_served_again_without_training(up: Up, photos: Path) -> None:
    photo = sorted((photos / "test").rglob("*.jpg"))[0]
    answer = up.post(photo.read_bytes())
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert len(predictions) == 3
    assert sum(entry["probability"] for entry in predictions) == pytest.approx(1, abs=1e-4)
    assert not any(character.isdigit() for entry in predictions for character in entry["label"])


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of one colour: 30,000 x 30,000 pixels are 110 KB of it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(b"rubbish" * 100, "image/jpeg", 400, id="rubbish"),
        pytest.param(b"", "image/jpeg", 400, id="empty"),
        pytest.param(b"GIF89a" * 100, "image/gif", 415, id="wrong content type"),
        pytest.param(b"{}", "application/json", 400, id="JSON without a photo"),
        pytest.param(b"\xff\xd8\xff\xe0" + bytes(11_000_000), "image/jpeg", 413, id="11 MB"),
        pytest.param(bomb(30_000, 30_000), "image/png", 413, id="30,000 x 30,000 pixels"),
    ],
)
def test_hostile_posts_are_refused_and_the_endpoint_still_serves(
    up: Up, photos: Path, body: bytes, content_type: str, status: int
) -> None:
    answer = up.post(body, content_type)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].keys() == {"code", "message", "request_id"}
    photo = sorted((photos / "test").rglob("*.jpg"))[0]
    assert up.post(photo.read_bytes()).status_code == 200


def test_a_wrong_key_is_refused_in_the_same_shape(up: Up) -> None:
    answer = up.post(b"\xff\xd8\xff", key="wrong")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "Forbidden"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predict", 405), ("POST", "/nothing", 404)])
def test_other_methods_and_paths_are_told_so(up: Up, method: str, path: str, status: int) -> None:
    headers = {"x-api-key": up.variables["PEDIGREE_API_KEY"]}
    answer = up.request(method, path, headers=headers)
    assert answer.status_code == status, answer.text
    assert "error" in answer.json()


def test_pedigree_predict_names_the_breed(up: Up, photos: Path) -> None:
    photo = sorted((photos / "test").rglob("*.jpg"))[0]
    done = up.checkout.pedigree("predict", photo)
    assert done.returncode == 0, done.stdout
    assert "%" in done.stdout


def test_the_doctor_finds_nothing_in_the_way_of_what_works(up: Up) -> None:
    done = up.checkout.pedigree("doctor")
    assert done.returncode == 0, done.stdout
    assert "Nothing stands in the way" in done.stdout


def test_the_stock_aws_cli_describes_everything(up: Up, finished: Finished) -> None:
    execution = up.aws("stepfunctions", "describe-execution", "--execution-arn", finished.summary["execution_arn"])
    assert execution["status"] == "SUCCEEDED"
    # In an account, jobs of others and of earlier tests are listed for ever.
    mine = ("--name-contains", up.checkout.prefix, "--creation-time-after", str(execution["startDate"]))
    jobs = up.aws("sagemaker", "list-training-jobs", *mine)["TrainingJobSummaries"]
    assert len(jobs) == 5  # prepare, extract, two trials, train
    for job in jobs:
        described = up.aws("sagemaker", "describe-training-job", "--training-job-name", job["TrainingJobName"])
        assert described["TrainingJobStatus"] == "Completed"
    endpoint = finished.summary["endpoint_name"]
    assert up.aws("sagemaker", "describe-endpoint", "--endpoint-name", endpoint)["EndpointStatus"] == "InService"
    groups = up.aws("logs", "describe-log-groups")["logGroups"]
    assert "/aws/sagemaker/TrainingJobs" in {group["logGroupName"] for group in groups}


def test_a_class_without_photos_fails_the_run_and_names_the_folder(up: Up, photos: Path, tmp_path: Path) -> None:
    broken = tmp_path / "dogs"
    for split in ("train", "valid", "test"):
        for folder in sorted((photos / split).iterdir()):
            (broken / split / folder.name).mkdir(parents=True)
            for photo in sorted(folder.glob("*.jpg"))[:4]:
                (broken / split / folder.name / photo.name).hardlink_to(photo)
    victim = sorted((broken / "train").iterdir())[1]
    for photo in victim.iterdir():
        photo.unlink()
    (victim / "notes.txt").write_text("all photos are on the other disk")
    done = up.checkout.pedigree("run", "--data", broken)
    assert done.returncode == 1
    assert f"train/{victim.name}" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
@pytest.mark.laptop_only("a training on AWS is no process that could be killed from here")
def test_a_killed_training_is_named_and_the_next_run_resumes_it(up: Up, photos: Path, tmp_path: Path) -> None:
    arguments = ("run", "--data", photos, "--trials", "1", "--epochs", "60", "--seed", "7")
    process = up.checkout.start(*arguments)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if re.search(r"Train: epoch \d+ of \d+ \(fine-tuning\)", line):
            killed = [
                found
                for found in psutil.process_iter(["cmdline"])
                if any(part.endswith("training/train_model.py") for part in found.info["cmdline"] or ())
                and str(up.checkout.root) in " ".join(found.info["cmdline"])
            ]
            assert killed
            killed[0].kill()
            break
    said.extend(process.stdout)
    end(process)
    assert process.returncode == 1, "".join(said)
    assert "SIGKILL" in "".join(said[-10:])
    again = up.checkout.pedigree(*arguments)
    assert again.returncode == 0, again.stdout
    assert "Tune: started" not in again.stdout
    assert "Taken up where an earlier execution stopped" in again.stdout
    events = up.aws("logs", "filter-log-events", "--log-group-name", "/aws/sagemaker/TrainingJobs")["events"]
    assert any("resumed from the checkpoint" in event["message"] for event in events)


@pytest.mark.slow
@pytest.mark.laptop_only("what is stopped is a local cloud of the run's own")
@pytest.mark.parametrize(
    "step", ["Local cloud ready", "Deploying", "Prepare: started", "Tune: started", "Train: started"]
)
def test_ctrl_c_leaves_no_process_and_the_next_run_works(
    finished: Finished, photos: Path, step: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkout = copy_checkout(tmp_path_factory.mktemp("stopped") / "pedigree")
    process = checkout.start("run", "--data", photos, "--trials", "1", "--epochs", "0")
    assert process.stdout is not None
    for line in process.stdout:
        if step in line:
            break
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    process.communicate(timeout=90)
    assert process.returncode == 130
    assert not checkout.processes()
    leftovers = [path.name for path in (checkout.root / "build" / "run").glob("*")]
    assert not leftovers, leftovers
    done = checkout.pedigree("run", "--data", photos, "--trials", "1", "--epochs", "0")
    assert done.returncode == 0, done.stdout
