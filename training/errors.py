"""What stops a job for a reason that its user can remove."""


class PhotosError(Exception):
    """The photos cannot be trained on as they are; the message names what is wrong where, and what to do."""


class StoppedByRuleError(Exception):
    """A rule has found what makes it pointless to go on training; the message is the finding's sentence."""
