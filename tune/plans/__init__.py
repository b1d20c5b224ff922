"""Study files: a comparison as YAML, with its variants, seeds, evaluations and published values."""
