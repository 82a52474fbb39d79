"""A signal in the moment in which the launcher starts the job's script."""

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


def test_a_signal_that_comes_while_the_script_starts_reaches_it() -> None:
    done = subprocess.run([sys.executable, "-c", LAUNCHER, SAVES], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 7
