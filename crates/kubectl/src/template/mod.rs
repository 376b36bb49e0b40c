//! The template language of `-o go-template`.
