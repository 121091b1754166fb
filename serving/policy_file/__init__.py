"""``policy.yaml`` as a `Policy`, checked against its product; and a policy as bytes that outlive both files.

pydantic stays in this package. May import features.declarations, serving.decision and features.core.
"""

from serving.policy_file.document import policy_document, policy_from_document
from serving.policy_file.load import load_policy

__all__ = ["load_policy", "policy_document", "policy_from_document"]
