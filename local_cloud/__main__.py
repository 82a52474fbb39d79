"""``python -m local_cloud``: run the laptop's AWS in the foreground."""

import argparse
import sys
from pathlib import Path

from local_cloud.server import run
from local_cloud.settings import LocalCloudError, Settings, parse_image


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local_cloud",
        description="Run an AWS for this machine: MiniStack over TLS, with a SageMaker that runs jobs and endpoints as "
        "processes. Ends on Ctrl-C or SIGTERM, and takes everything it started with it.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder for everything it keeps")
    parser.add_argument("--port", type=int, default=4566, help="port of the AWS endpoint (default: %(default)s)")
    parser.add_argument(
        "--api-port", type=int, default=8080, help="port of the newest deployed REST API (default: %(default)s)"
    )
    parser.add_argument(
        "--image",
        type=_image,
        action="append",
        default=[],
        metavar="NAME=BIN_DIR",
        help="an image that jobs and models may name, and the folder with its executables train and serve; repeatable",
    )
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when standard input ends, so as not to outlive a parent"
    )
    options = parser.parse_args(arguments)
    try:
        settings = Settings(options.state, options.port, options.api_port, dict(options.image))
        run(settings, exit_with_stdin=options.exit_with_stdin)
    except LocalCloudError as error:
        print(f"local cloud: {error}", file=sys.stderr)
        return 1
    return 0


def _image(text: str) -> tuple[str, Path]:
    try:
        return parse_image(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
