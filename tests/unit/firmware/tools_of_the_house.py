"""The tools beside the packages, as modules."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


habitat_header = tool("habitat_header")
