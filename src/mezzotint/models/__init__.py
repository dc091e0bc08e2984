"""One file per idea. Each registers itself; nothing here is listed by hand."""
