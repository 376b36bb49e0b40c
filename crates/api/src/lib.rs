//! What each kind is: one folder a kind, the trait Kind and the table KINDS.
