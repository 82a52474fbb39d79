"""What stops a job for a reason that its user can remove."""


class PhotosError(Exception):
    """The photos cannot be trained on as they are; the message names what is wrong where, and what to do."""
