"""Commands as jobs of a Ray cluster: packed, submitted, checked from every node, followed and stopped."""
