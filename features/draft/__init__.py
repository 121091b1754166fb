"""Draft: from somebody's event log to a first product.yaml and policy.yaml that import and train as they are.

Pure guesses about columns (`roles`, `times`, `numbers`, `names`, `horizon`, `plan`) apart from reading the file (`look`) and from writing
text (`product_text`, `policy_text`). A guess is a proposal: every one is stated with its reason, and every one can be overridden.
May import features.ingest, features.declarations and features.core.
"""
