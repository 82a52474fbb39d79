"""The code that the jobs run, uploaded once per change of the code."""

from typing import Final

from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.bundles import bundle_path, write_source_bundle

PACKAGES: Final = ("contract", "serving", "training", "vision")


class SourceBundle(Construct):
    """A tar.gz asset, as SageMaker's script mode wants it; its key is a hash of its bytes."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        archive = write_source_bundle(bundle_path(self, "sourcedir.tar.gz"), PACKAGES)
        asset = s3_assets.Asset(self, "Asset", path=str(archive))
        self.uri = asset.s3_object_url
        self.object_arn = asset.bucket.arn_for_objects(asset.s3_object_key)
