//! How much of something tests do.

/// The first when all tests run, the second in campaigns, which
/// `TIPHYS_E2E_DOSE=large` asks for.
pub fn dose<T>(usual: T, large: T) -> T {
    match std::env::var("TIPHYS_E2E_DOSE").as_deref() {
        Ok("large") => large,
        _ => usual,
    }
}
