"""Who: users, organizations, members, projects, audit."""
