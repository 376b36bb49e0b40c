//! A file per controller and one table.
