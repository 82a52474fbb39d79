"""The one place that touches MiniStack's private names.

MiniStack promises none of them, so its version is pinned, each name is looked up at start (``check``; a missing one is
told by name, before anything listens), and tests/local_cloud checks what each is used for.

The modules import MiniStack inside their functions only: it reads its settings from the environment while it is
imported, so ``environment.prepare_environment`` must come first.
"""
