"""What a valid policy says that its author may not have meant: rules that never speak, and rules that get in each other's way.

`serving.policy_file` refuses what is wrong; what is found here is allowed, and worth a second look. Pure: a policy and its product in,
remarks out. docs/policy-file.md lists what is looked for.
"""

from serving.policy_review.conditions import contradiction, implies
from serving.policy_review.findings import Finding, Remark
from serving.policy_review.review import review_policy

__all__ = ["Finding", "Remark", "contradiction", "implies", "review_policy"]
