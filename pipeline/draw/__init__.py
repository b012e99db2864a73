"""Pictures for a person: a page beside its leads, and the traces over the page laid flat."""
