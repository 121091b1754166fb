"""Write the outputs of all golden cases anew from the present code, fields that inputs and policies gained, and the whole receipts.

Run ``python tests/golden/record.py``, then read the diff line by line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))


def main() -> None:
    import orjson

    from serving.decision.decide import decide, needs_explanation
    from serving.decision.output import output_json
    from serving.decision.record import inputs_from_json, inputs_to_json
    from serving.policy_file import policy_document, policy_from_document
    from tests.golden.whole_receipts import record as record_whole

    for file in sorted((HERE / "policies").glob("*.json")):
        policy = policy_from_document(orjson.dumps(json.loads(file.read_text())))
        file.write_text(json.dumps(orjson.loads(policy_document(policy)), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    for file in sorted((HERE / "decisions").glob("*.json")):
        case = json.loads(file.read_text())
        policy = policy_from_document(orjson.dumps(json.loads((HERE / "policies" / f"{case['policy']}.json").read_text())))
        inputs = inputs_from_json(case["inputs"])
        case["inputs"] = inputs_to_json(inputs)
        case["needs_explanation"] = needs_explanation(inputs, policy)
        case["output"] = orjson.loads(output_json(decide(inputs, policy), case["versions"]))
        file.write_text(json.dumps(case, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    record_whole()


if __name__ == "__main__":
    main()
