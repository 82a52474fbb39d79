"""Custom resources of our own: nothing that executions made outlives the stacks."""
