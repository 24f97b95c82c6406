import pytest
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import model_pb2

from tests.gateway.builders import a_model


def test_models_are_listed_without_a_token(visitor, behind):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(models=[a_model()])
    response = visitor.get("/api/v1/models")
    assert response.json() == {
        "models": [
            {
                "name": "sdxl",
                "display_name": "Stable Diffusion XL",
                "display_names": {"en": "Stable Diffusion XL", "zh": "稳定扩散 XL"},
                "description": "Detailed pictures.",
                "descriptions": {"en": "Detailed pictures.", "zh": "细腻画面。"},
                "license": "OpenRAIL++-M",
                "is_active": True,
                "available": True,
                "availability": "available",
                "unavailable_reason": None,
                "limits": {
                    "width": {"min": 64, "max": 2048},
                    "height": {"min": 64, "max": 2048},
                    "size_multiple": 8,
                    "max_pixels": 4_194_304,
                    "steps": {"min": 1, "max": 100},
                    "cfg": {"min": 1.0, "max": 30.0},
                    "count": {"min": 1, "max": 4},
                },
                "defaults": {"width": 1024, "height": 1024, "steps": 25, "cfg": 8.0, "negative_prompt": "blurry"},
                "negative_prompt_supported": True,
            }
        ]
    }
    assert "authorization" not in behind.generation.last.metadata


@pytest.mark.parametrize(
    ("availability", "is_active", "available"),
    [("AVAILABLE", True, True), ("COLD", True, True), ("UNAVAILABLE", True, False), ("AVAILABLE", False, False)],
)
def test_available_means_that_a_task_is_accepted(visitor, behind, availability, is_active, available):
    value = model_pb2.ModelAvailability.Value(f"MODEL_AVAILABILITY_{availability}")
    model = a_model(availability=value, is_active=is_active, unavailable_reason="" if available else "no worker")
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(models=[model])
    (shown,) = visitor.get("/api/v1/models").json()["models"]
    assert (shown["available"], shown["availability"]) == (available, availability.lower())
    assert shown["unavailable_reason"] == (None if available else "no worker")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("ZH-Hant-TW", "zh"),
        ("en-GB,zh;q=0.9", "en"),
        ("en;q=0.3, zh;q=0.7", "zh"),
        ("fr, zh;q=0", "en"),
        ("de-DE", "en"),
        ("zh;q=often", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
def test_names_come_in_the_language_that_the_client_prefers(visitor, behind, accepted, language):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(models=[a_model()])
    response = visitor.get("/api/v1/models", headers={"Accept-Language": accepted})
    (shown,) = response.json()["models"]
    assert shown["display_name"] == shown["display_names"][language]
    assert shown["description"] == shown["descriptions"][language]
    assert response.headers["content-language"] == language
    assert response.headers["vary"] == "Accept-Language"
