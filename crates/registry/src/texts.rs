//! Several short texts in one allocation. Each object in memory has some by
//! which it is selected, and a list of strings would be as large as a tenth of
//! the object.

/// Texts one after the other, each as a netstring: its length, a colon, itself.
#[derive(Debug, Default)]
pub(crate) struct Texts(Box<str>);

impl Texts {
    /// The texts in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_once(':')?;
            let (text, after) = after.split_at_checked(length.parse().ok()?)?;
            rest = after;
            Some(text)
        })
    }
}

impl<S: AsRef<str>> FromIterator<S> for Texts {
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut all = String::new();
        for text in texts {
            let text = text.as_ref();
            all.push_str(&text.len().to_string());
            all.push(':');
            all.push_str(text);
        }
        Texts(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        let long = "l".repeat(300);
        for texts in [&[][..], &[""], &["a", "", "3:abc", "ü:\0", &long, "end"]] {
            let packed: Texts = texts.iter().collect();
            assert_eq!(packed.iter().collect::<Vec<_>>(), texts);
        }
    }
}
