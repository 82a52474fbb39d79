from pathlib import Path

from console.project import Project


def _write(project: Project, name: str, text: str) -> None:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_changed_source_changes_the_fingerprint(project: Project) -> None:
    _write(project, "infra/data.py", "1")
    before = project.sources_fingerprint("dev")
    _write(project, "infra/data.py", "2")
    assert project.sources_fingerprint("dev") != before


def test_a_new_source_and_another_stage_change_the_fingerprint(project: Project) -> None:
    _write(project, "app.py", "1")
    before = project.sources_fingerprint("dev")
    assert project.sources_fingerprint("prod") != before
    _write(project, "training/new.py", "")
    assert project.sources_fingerprint("dev") != before


def test_what_is_no_source_leaves_the_fingerprint(project: Project) -> None:
    _write(project, "app.py", "1")
    before = project.sources_fingerprint("dev")
    for name in ("infra/__pycache__/data.pyc", "tests/test.py", "build/x", "README.md"):
        _write(project, name, "x")
    assert project.sources_fingerprint("dev") == before


def test_the_checkout_is_the_one_that_holds_the_console() -> None:
    assert (Project.here().root / "console" / "project.py").is_file()
    assert Project(Path("/somewhere")).run == Path("/somewhere/build/run")
