"""What can be wrong with a recording, named so that callers can tell the cases apart."""


class RecordingError(Exception):
    """Any fault of a stored recording; the message is fit to be shown to an operator."""


class NotACapture(RecordingError):
    """The file does not begin with a readable capture header."""


class KeyRequired(RecordingError):
    """The audio is encrypted and no key was given; metadata and digests stay readable."""


class WrongKey(RecordingError):
    """The key given does not open this capture."""


class StillRecording(RecordingError):
    """Another process holds the capture open for writing."""


class ModelMissing(RecordingError):
    """A speech model, or a file in its folder, is not there."""


class ModelUnusable(RecordingError):
    """A speech model is there, but cannot serve this request."""
