"""The state machine: one module per step returns its states as plain data; construct.py deploys them."""
