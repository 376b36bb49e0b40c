//! Admission plugins: a file each and one table.
