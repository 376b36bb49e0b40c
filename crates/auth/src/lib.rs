//! Who are you, and may you: authenticators and authorisers, a file each.
