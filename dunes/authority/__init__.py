"""Who may do what: one decision, its policies as data, and a record of every answer.

The core (`model`, `policy`, `decide`, `standing`) is pure: requests, policies and the time
come in, a decision with its reasons goes out. `gate.authorise` is the one call that other
rooms use; `audit` writes down what it said.
"""
