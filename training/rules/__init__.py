"""The debugger's rules, one class each, and what evaluates them while a training runs.

Only ``training.rules.watch`` may be imported where smdebug may be missing: it imports the rules when it needs them.
"""
