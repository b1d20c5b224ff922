"""Base models behind one contract, and the DCLF framework that any of them can wear."""
