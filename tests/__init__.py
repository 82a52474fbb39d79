"""The tests; a package by name, since a dependency installs another of the same name."""
