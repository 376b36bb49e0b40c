//! The JSONPath dialect of the command line: parser and evaluator over trees.
