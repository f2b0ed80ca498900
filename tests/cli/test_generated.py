import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_generated_files_are_what_the_commands_say():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "tools/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert [] == generate.stale(generate.generated()), "run: make generated"
