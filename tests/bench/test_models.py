from pathlib import Path

from services.executor.engine.workflows import load_models


def test_the_models_of_the_benchmark_are_models_like_any_other():
    assert set(load_models(Path(__file__).parent / "models")) == {"bench-null", "bench-second", "bench-waiting"}
