"""YAML, presets, overrides and study files, read into typed settings with every mistake at its place."""
