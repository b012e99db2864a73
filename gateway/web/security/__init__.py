"""Who may: users, sessions, tokens, roles, CSRF, lock-out, OIDC, and the pages that belong to them."""
