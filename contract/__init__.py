"""The facts that more than one side of Pedigree must agree on, each in exactly one place.

Standard library only: the Lambda handler, the training jobs, the CDK app and the console all import it.
"""
