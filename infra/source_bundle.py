"""The code that the jobs run, uploaded once per change of the code."""

import hashlib
import subprocess
from pathlib import Path
from typing import Final

from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.bundles import ROOT, bundle_path, write_source_bundle

PACKAGES: Final = ("contract", "serving", "training", "vision")
_HASH_LENGTH: Final = 12


class SourceBundle(Construct):
    """A tar.gz asset, as SageMaker's script mode wants it; its key is a hash of its bytes."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        archive = write_source_bundle(bundle_path(self, "sourcedir.tar.gz"), PACKAGES)
        asset = s3_assets.Asset(self, "Asset", path=str(archive))
        self.uri = asset.s3_object_url
        self.key = asset.s3_object_key
        self.bucket_arn = asset.bucket.bucket_arn
        self.object_arn = asset.bucket.arn_for_objects(asset.s3_object_key)
        self.revision = source_revision(archive)


def source_revision(archive: Path, root: Path = ROOT) -> str:
    """Return the commit that last changed the bundled code, or the archive's hash where that is not what is bundled.

    Commits of other code do not change it, so they do not change the template either.
    """
    changed = _git(root, "status", "--porcelain", "--", *PACKAGES)
    commit = _git(root, "log", "-1", "--format=%H", "--", *PACKAGES)
    if changed == "" and commit:
        return commit
    return f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()[:_HASH_LENGTH]}"


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says, or None where there is no git or no repository: sources come as an archive, too."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
