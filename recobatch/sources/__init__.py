"""Where ratings come from: a name, path or URI becomes files on this machine."""
