"""What a test sees of the question about erased disks."""

from maas_mcp.calls.confirmation import ErasingConsent
from maas_mcp.operations.declaring.questions import Question
from maas_mcp.testing import MaasRegion

__all__ = ["ErasingConsent", "question_of"]


def question_of(region: MaasRegion) -> str:
    """The text of the only question of the latest call."""
    (question,) = region.asked.values()
    assert isinstance(question, Question)
    return question.text
