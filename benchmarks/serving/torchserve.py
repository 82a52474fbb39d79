"""Baseline (c): TorchServe, in the foreground, one worker, batches of at most 8 photos collected for at most 10 ms.

``python -m benchmarks.serving.torchserve PORT``. Its front is Java, which must be on the PATH.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.serving.servers import free_port

MODEL: Final = "resnet50"
_BATCH: Final = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 8, "maxBatchDelay": 10, "responseTimeout": 120}


def main() -> None:
    """Make the archive and the configuration, then become TorchServe's front."""
    import ts
    from model_archiver.model_packaging import generate_model_archive

    folder = Path(tempfile.mkdtemp(prefix="torchserve-"))
    handler = Path(__file__).with_name("torchserve_handler.py")
    archive = ["--model-name", MODEL, "--version", "1.0", "--handler", str(handler), "--export-path", str(folder)]
    sys.argv[1:], port = archive, int(sys.argv[1])
    generate_model_archive()
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "model_store": folder,
        "load_models": f"{MODEL}.mar",
        "models": json.dumps({MODEL: {"1.0": {"defaultVersion": True, "marName": f"{MODEL}.mar", **_BATCH}}}),
        "disable_token_authorization": "true",
        "enable_envvars_config": "false",
        "job_queue_size": 1000,
        "default_workers_per_model": 1,
    }
    config = folder / "config.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    home = Path(ts.__file__).parent
    os.environ.update({"LOG_LOCATION": str(folder), "METRICS_LOCATION": str(folder), "TEMP": str(folder)})
    os.chdir(folder)
    java = ["java", "-Dmodel_server_home=" + str(home.parent), "-Djava.io.tmpdir=" + str(folder)]
    java += ["-cp", f"{home / 'frontend'}/*", "org.pytorch.serve.ModelServer", "--python", sys.executable]
    os.execvp("java", [*java, "-f", str(config), "-s", str(folder)])  # noqa: S606  a list, no shell


if __name__ == "__main__":
    main()
