"""Takes every statement of every role away in turn, and shows what fails without it.

    python -m tests.iam.prove [--only ROLE/SID] [--each-action] [--write] [--list]

Runs a local cloud of its own with a stage in which every option is on. Exits with 1 where a statement, an action or a
resource is superfluous, or where something is refused although nothing was taken away.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.policies import UNPROVEN
from tests.end_to_end.checkout import ROOT, Checkout, copy_checkout
from tests.end_to_end.local_stage import add_stage, running_stage
from tests.iam import elsewhere, seeds
from tests.iam.exercises import Exercise, Exercises
from tests.iam.live import Outcome, Subject, sentence
from tests.iam.photos import upload_photos, upload_zip
from tests.iam.roles import Role, Statement, changed, deployed, document, synthesized
from tests.iam.table import Row, write
from tests.iam.usage import grants, unused

STAGE = "proof"
_OTHER_BUCKET = "proof-photos"
# Everything on that the local cloud can act on.
OPTIONS: dict[str, Any] = {
    "customer_key": True,
    "removal": "destroy",
    # With checkpoints.
    "jobs": {"train": {"spot": True}},
    "gate": {"minimum_accuracy": 0.0},
    "endpoint": {
        "capture_percent": 100,
        "rollout": {"bake_seconds": 0},
        "scaling": {"maximum_instances": 2, "night": {"begins": "22:00"}},
    },
    # Told of at once, deleted as soon as that was told long enough ago.
    "reaper": {"idle_hours": 1, "notice_hours": 48},
    "watch": {"email": "nobody@example.com"},
    "source_buckets": [_OTHER_BUCKET],
}
_PAGE = ROOT / "docs" / "security.md"
_RESULTS = ROOT / "build" / "prove-iam" / "results.json"
_CHANGED_CONDITION = "prove-iam.example"


class Proof:
    """One run over all statements."""

    def __init__(self, subject: Subject, roles: Sequence[Role], options: argparse.Namespace) -> None:
        """Prove ``roles``, as deployed."""
        self.subject = subject
        self.roles = roles
        self.options = options
        self.rows: list[Row] = []
        (own,) = [name for name in subject.buckets() if "log" not in name]
        self.given = {**upload_zip(subject, own), "backbone": "auto", "trials": 1, "epochs": 0}
        self.exercises = Exercises(subject, self.given)
        self.iam = subject.stage.client("iam")
        self._begun = time.monotonic()

    def run(self) -> None:
        """Do it all; ``rows`` hold the findings."""
        self._say("recording an execution that ends before anybody asks the endpoint anything")
        self.exercises.recordings.append(self.subject.record({**self.given, "epochs": 1}, end_before="Smoke test"))
        idle = [role for role in self.roles if self._looks_at_idle_endpoints(role)]
        later = self._take_away(self._statements(idle))
        self._say("recording an execution that replaces the endpoint's model")
        self.subject.stage.client("s3").create_bucket(Bucket=_OTHER_BUCKET)
        seeds.no_shared_log_group(self.subject)
        other = {"source": upload_photos(self.subject, _OTHER_BUCKET), "source_fingerprint": "", "seed": 1}
        self.exercises.recordings.append(self.subject.record({**self.given, **other}))
        self._say("recording an execution that finds a model in production, a broken endpoint and a lock left behind")
        seeds.broken_endpoint(self.subject, self.exercises.recordings)
        seeds.held_lock(self.subject)
        # From the first one's training on: that left checkpoints.
        again = self.exercises.recordings[0].begin_at("Train")
        self.exercises.recordings.append(self.subject.record(self.given, definition=again))
        self._look_for_refusals()
        later += self._take_away(self._statements([role for role in self.roles if role not in idle]))
        self._to_the_end(later)
        if not self.options.only:
            for each in unused(self.roles, self.subject.trail.update(), UNPROVEN):
                self._add(Row(each.role, each.sid, each.part, "nothing", f"superfluous: {each}"))

    def _statements(self, roles: Sequence[Role]) -> list[tuple[Role, Statement]]:
        return [
            (role, statement)
            for role in roles
            for statement in role.statements
            if self.options.only in ("", f"{role.title}/{statement.sid}", role.title)
        ]

    def _look_for_refusals(self) -> None:
        """Add what the recorded executions were refused although nothing had been taken away."""
        titles = {role.arn: role.title for role in self.roles}
        refused = {
            (titles[each.role], each.action, each.resource)
            for each in self.subject.trail.update()
            if not each.allowed
            and each.role in titles
            and any(recording.covers(each.time, 0) for recording in self.exercises.recordings)
        }
        for title, action, resource in sorted(refused):
            self._add(Row(title, "none", action, "", f"{action} on {resource} is missing: no statement allows it"))

    def _looks_at_idle_endpoints(self, role: Role) -> bool:
        return any("cloudwatch:GetMetricStatistics" in statement.actions for statement in role.statements)

    def _take_away(self, statements: Sequence[tuple[Role, Statement]]) -> list[tuple[Role, Statement]]:
        """Prove what can be proven while the stage lives; returns the rest."""
        later = []
        for number, (role, statement) in enumerate(statements, 1):
            self._say(f"{number}/{len(statements)} {role.title} / {statement.sid}")
            if statement.sid in UNPROVEN:
                self._add(self._unproven(role, statement))
            elif not self._prove(role, statement):
                later.append((role, statement))
        return later

    def _prove(self, role: Role, statement: Statement) -> bool:
        """Add the rows of one statement; returns False where only the end of the stage can tell."""
        found = self._first_miss(role, statement, None)
        if found is None or not found.is_miss:
            if any(True for _ in self.exercises.at_the_end(role, statement)):
                return False
            self._add(_row(role, statement, found))
            return True
        self._add(_row(role, statement, found))
        for part, instead in self._parts(statement):
            self._say(f"  {part}")
            narrowed = replace(statement, actions=(part,)) if part in statement.actions else statement
            found = self._first_miss(role, narrowed, instead)
            if found is None or not found.is_miss:
                self._add(_row(role, replace(narrowed, sid=f"{statement.sid} ({part})"), found))
        return True

    def _parts(self, statement: Statement) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what else must be missed: each action where that was asked for, and each condition as it is."""
        if statement.conditions:
            others = {
                operator: dict.fromkeys(keys, _CHANGED_CONDITION) for operator, keys in statement.conditions.items()
            }
            yield "the condition", document(statement, Condition=others)
        if self.options.each_action and len(statement.actions) > 1:
            for action in statement.actions:
                yield action, document(statement, Action=[each for each in statement.actions if each != action])

    def _first_miss(self, role: Role, statement: Statement, instead: dict[str, Any] | None) -> Outcome | None:
        found: Outcome | None = None
        for exercise in self.exercises.of(role, statement):
            found = self._try(exercise, role, statement, instead)
            if found.is_miss:
                break
        return found

    def _try(
        self, exercise: Exercise, role: Role, statement: Statement, instead: dict[str, Any] | None = None
    ) -> Outcome:
        """Return the outcome of one exercise; one that breaks off shows nothing."""
        try:
            with changed(self.iam, role, statement, instead):
                found = exercise()
        except (AssertionError, ClientError, LookupError) as error:
            self._say(f"  breaks off: {str(error)[:500]}")
            return Outcome(None)
        self._tell(found)
        return found

    def _to_the_end(self, later: Sequence[tuple[Role, Statement]]) -> None:
        """Delete the stacks, each as often as a statement is to be missed by that."""
        for stack in reversed(list(dict.fromkeys(role.stack for role in self.roles))):
            mine = [(role, statement) for role, statement in later if role.stack == stack]
            for number, (role, statement) in enumerate(mine, 1):
                self._say(f"{number}/{len(mine)} at the end of {stack}: {role.title} / {statement.sid}")
                found: Outcome | None = None
                for exercise in self.exercises.at_the_end(role, statement):
                    found = self._try(exercise, role, statement)
                self._add(_row(role, statement, found))
            if not self.options.only:
                self.exercises.delete_stack(stack)

    def _unproven(self, role: Role, statement: Statement) -> Row:
        row = _row(role, statement, None)
        asked = any(each.role == role.arn and grants(statement, each) for each in self.subject.trail.update())
        problem = "stands in UNPROVEN, and is asked for here after all" if asked else ""
        return replace(row, without=f"not to be seen here: {UNPROVEN[statement.sid]}", problem=problem)

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if row.problem:
            self._say(f"  PROBLEM: {row.problem}")
        _RESULTS.parent.mkdir(parents=True, exist_ok=True)
        _RESULTS.write_text(json.dumps([asdict(each) for each in self.rows], indent=1), "utf-8")

    def _tell(self, found: Outcome) -> None:
        self._say(f"  {found.consequence[:300] or f'nothing fails {found.answer[:300]}'}")
        if found.refused is not None:
            self._say(f"  {sentence(found.refused)}")

    def _say(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        print(f"[{minutes}:{seconds:02}] {text}", flush=True)


def explained(possible: Sequence[Role], proven: Sequence[Role]) -> list[Row]:
    """Return a row for each statement that only an account can have and each policy of AWS's; they need a reason."""
    known = {(role.title, statement.sid) for role in proven for statement in role.statements}
    alike = {(role.services, each.sid, each.actions) for role in proven for each in role.statements}
    rows = []
    for role in possible:
        for policy in role.managed:
            name = re.sub(r".*/|\W+$", "", policy)
            rows.append(_explained(role, name, "a policy of AWS's"))
        for statement in role.statements:
            actions = ", ".join(statement.actions)
            if (role.title, statement.sid) in known:
                continue
            if (role.services, statement.sid, statement.actions) in alike and statement.sid not in UNPROVEN:
                rows.append(Row(role.title, statement.sid, actions, "as for the others of its kind"))
            else:
                rows.append(_explained(role, statement.sid, actions))
    return rows


def _explained(role: Role, sid: str, allows: str) -> Row:
    if sid in UNPROVEN:
        return Row(role.title, sid, allows, f"not to be seen here: {UNPROVEN[sid]}")
    problem = "no stage of the local cloud has it, and UNPROVEN does not say why"
    return Row(role.title, sid, allows, "", problem)


def _row(role: Role, statement: Statement, found: Outcome | None) -> Row:
    row = Row(role.title, statement.sid, ", ".join(statement.actions), "nothing fails")
    if found is None or found.refused is None:
        return replace(row, problem="superfluous: nothing asks for it, or nothing is refused without it")
    if not found.consequence:
        return replace(row, problem=f"{found.refused.action} is refused, and nobody is told")
    what = found.consequence.partition(":")[0]
    return replace(row, without=f"{what}: {found.refused.action} is refused")


def main() -> int:
    """Prove, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="ROLE[/SID]", help="one role, or one statement of it")
    parser.add_argument("--each-action", action="store_true", help="take each action of a statement away as well")
    parser.add_argument("--write", action="store_true", help=f"write the table into {_PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prove-iam-") as folder:
        checkout: Checkout = copy_checkout(Path(folder) / "pedigree")
        add_stage(checkout, STAGE, **OPTIONS)
        with running_stage(checkout, STAGE) as stage:
            clients = stage.client("cloudformation"), stage.client("iam")
            assembly = checkout.root / "build" / "cdk" / STAGE / "cdk.out"
            roles = [deployed(role, *clients) for role in synthesized(assembly)]
            proof = Proof(Subject(stage), roles, options)
            proof.run()
        possible = elsewhere.roles(Path(folder) / elsewhere.STAGE, OPTIONS)
    rows = [*proof.rows, *([] if options.only else explained(possible, roles))]
    order = list(dict.fromkeys(role.title for role in possible))
    rows.sort(key=lambda row: order.index(row.role))
    for row in rows:
        print(f"{row.role:45} {row.sid:28} {row.problem or row.without}")
    problems = [row for row in rows if row.problem]
    if options.write and not options.only and not problems:
        write(_PAGE, rows)
    print(f"{len(rows) - len(problems)} statements are missed or explained, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
