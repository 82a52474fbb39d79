"""`make test-aws`: the end-to-end tests on a real account. Says its cost first, and cleans up however it ends.

The tests run in a copy of the checkout, in a stage of its own on small instances; the copy is kept only where
cleaning up failed, since the command that repeats it needs it.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from contract.names import Stack, stack_name
from tests.end_to_end.checkout import ON_AWS, AwsCheckout, copy_files, write_stage

# No GPU, whose quota is 0 in new accounts, and one image to build instead of two.
SMALL: Mapping[str, Any] = {
    "jobs": {"extract": {"instance_type": "ml.m5.xlarge", "spot": False}}
    | {"train": {"instance_type": "ml.m5.xlarge", "spot": False}},
    "endpoint": {"instance_type": "ml.m5.large"},
    "defaults": {"source": "toy", "trials": 2},
    "reaper": {"idle_hours": 2},
    "removal": "destroy",
}
# The tests train once, and start one more execution that fails while preparing.
RUNS = 2
ENDPOINT_HOURS = 3.0
STOP_SECONDS = 300.0


def main() -> None:
    """Run them; exits with pytest's code, or 1 where nothing was started or something was left behind."""
    given, for_pytest = _arguments()
    signal.signal(signal.SIGTERM, _as_interrupt)
    folder = Path(given.checkout or tempfile.mkdtemp(prefix="pedigree-on-aws-"))
    checkout = AwsCheckout(folder, stage=given.stage)
    if given.clean_up:
        sys.exit(0 if clean_up(checkout) else 1)
    copy_files(folder)
    write_stage(folder, given.stage, SMALL | json.loads(given.settings))
    code = 1
    is_clean = True
    try:
        if _is_ready(checkout) and _is_wanted(checkout, asked=not given.yes):
            is_clean = False
            code = _test(checkout, for_pytest)
    finally:
        if is_clean or clean_up(checkout):
            shutil.rmtree(folder)
        else:
            code = 1
    sys.exit(code)


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Run the end-to-end tests on AWS. Everything else goes to pytest.")
    parser.add_argument("--stage", default="e2e", help="a name that nothing in the account uses yet")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--settings", default="{}", help="settings of the stage as JSON, over the small ones")
    parser.add_argument("--clean-up", action="store_true", help="only delete the stage, with --checkout")
    parser.add_argument("--checkout", default="", help="the copy that an earlier run kept")
    return parser.parse_known_args()


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _is_ready(checkout: AwsCheckout) -> bool:
    """Return whether nothing stands in the way, and nobody else's stage would be overwritten and deleted."""
    doctor = checkout.pedigree("doctor")
    print(doctor.stdout)
    if doctor.returncode != 0:
        return False
    left = standing(checkout)
    if left:
        command = " ".join(["pedigree", *checkout.words, "down"])
        print(f"Already in this account: {', '.join(left)}. Choose another STAGE, or delete it: {command}")
    return not left


def standing(checkout: AwsCheckout) -> list[str]:
    """Return the stacks of the stage that the account has, in whatever state."""
    said = checkout.pedigree("status").stdout
    return [stack_name(checkout.stage, stack) for stack in Stack if f"stack {stack}: not deployed" not in said]


def cost(checkout: AwsCheckout) -> float:
    """Return what the tests cost at most, in US dollars."""
    found = json.loads(checkout.pedigree("cost", "--json").stdout)
    if found["missing"]:
        raise SystemExit(f"No price is known for {', '.join(found['missing'])}: add it to prices.json")
    upkeep = ENDPOINT_HOURS * found["endpoint_hour"]
    return float(found["once"] + RUNS * found["run"]["at_most"] + upkeep)


def _is_wanted(checkout: AwsCheckout, *, asked: bool) -> bool:
    print(f"This deploys stage {checkout.stage}, trains {RUNS} times, serves, and deletes everything again:")
    print(f"about {cost(checkout):.2f} US dollars and two hours. What it rests on: pedigree cost")
    if not asked:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print("Nobody is there to answer: YES=1 means yes.")
        return False


def _test(checkout: AwsCheckout, for_pytest: list[str]) -> int:
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-v", *for_pytest]
    environment = os.environ | {ON_AWS: json.dumps({"root": str(checkout.root), "stage": checkout.stage})}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Its commands stop what they started, the execution too.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        return 130


def clean_up(checkout: AwsCheckout) -> bool:
    """Delete the stage and return whether nothing of it is left; not to be interrupted, it says how to repeat it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: print("Cleaning up first; what runs costs money.", flush=True))
    print(f"Cleaning up stage {checkout.stage} ...", flush=True)
    done = checkout.pedigree("down", "--yes")
    print(done.stdout)
    left = standing(checkout) if done.returncode == 0 else ["not known: pedigree down failed"]
    if not left:
        print(f"Nothing of stage {checkout.stage} is left.")
        return True
    print(f"LEFT IN THE ACCOUNT, AND COSTING MONEY: {', '.join(left)}")
    print(
        f"Try again: {sys.executable} -m tests.end_to_end.on_aws --clean-up --stage {checkout.stage} "
        f"--checkout {checkout.root}"
    )
    return False


if __name__ == "__main__":
    main()
