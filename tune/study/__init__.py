"""What a study is: definition, ledger, folder, its copy at a URI, and every question that can be asked of it."""
