"""``python -m tests.serving.obedient_server``: the real server, with a network that obeys its photos."""

from functools import partial
from unittest.mock import patch

from serving.server import main
from serving.service import ModelService

LOADER = "tests.serving.obedient:load"

if __name__ == "__main__":
    with patch("serving.server.ModelService", partial(ModelService, loader=LOADER)):
        main()
