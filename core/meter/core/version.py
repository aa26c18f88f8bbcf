"""The version of meter; read by the build, and cheap to import, which `importlib.metadata` is not."""

__version__ = "0.1.0"
