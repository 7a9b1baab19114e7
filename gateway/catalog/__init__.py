"""The catalog: the files that ship with the code, their changes and approval, and its public pages."""
