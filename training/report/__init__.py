"""report.html: one self-contained page about one training, for people.

``data`` reads what a training left, ``page`` composes the page, and each part of it is a module: what it shows and, in
templates/, how.
"""
