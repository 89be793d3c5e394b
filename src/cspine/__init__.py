"""cspine finds, names and locates fractures of the cervical spine in CT. Research use, not a medical device."""

__version__ = "0.1.0.dev0"
