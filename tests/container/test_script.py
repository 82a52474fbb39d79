"""A job's script at its two ends: a signal in the moment in which it starts, and its last words."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(60)
"""
# The script runs, and the launcher does not know of it yet.
LAUNCHER = """
import os, signal, subprocess, sys
from container.script import SignalForwarder

def popen():
    script = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
    script.stdout.readline()
    os.kill(os.getpid(), signal.SIGTERM)
    return script

sys.exit(SignalForwarder().start(popen).wait())
"""

# Whoever takes the launcher's errors is slow, and the end of the script's is still on its way when it has ended.
SLOW = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from container import script

script._LAST_OUTPUT_SECONDS = 0.01
slow = SimpleNamespace(buffer=SimpleNamespace(write=lambda _: time.sleep(0.2), flush=lambda: None))
script.sys = SimpleNamespace(stderr=slow, platform=sys.platform)
outcome = script.run_script([sys.executable, "-c", sys.argv[1]], Path.cwd(), os.environ, script.SignalForwarder())
print(outcome.reason("job.py"))
"""


def test_the_reason_is_the_script_s_last_word_however_slowly_its_errors_are_taken() -> None:
    fails = "import sys; sys.stderr.write('a warning\\n' * 15_000); sys.exit('the disk is full')"
    command = [sys.executable, "-c", SLOW, fails]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    assert done.stdout == "the disk is full\n"


def test_a_signal_that_comes_while_the_script_starts_reaches_it() -> None:
    done = subprocess.run([sys.executable, "-c", LAUNCHER, SAVES], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 7
