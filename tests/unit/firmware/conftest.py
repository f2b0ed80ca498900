import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from firmware_making import sign_image


@pytest.fixture(scope="session")
def signed(tmp_path_factory):
    """An image that imgtool made: version 1.2.0 for board test/board."""
    return sign_image(tmp_path_factory.mktemp("image"), board="test/board")
