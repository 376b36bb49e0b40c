//! `/version`: which API level this is.

use crate::answer::Answer;
use http::StatusCode;
use meta::value;

/// The API level's minor version.
pub const MINOR: &str = "37";
/// What the server calls itself.
pub const GIT_VERSION: &str = "v1.37.0+tiphys";

/// The answer to `/version`.
pub(crate) fn answer() -> Answer {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Answer::object(
        StatusCode::OK,
        &value!({
            "major": "1",
            "minor": MINOR,
            "emulationMajor": "1",
            "emulationMinor": MINOR,
            "minCompatibilityMajor": "1",
            "minCompatibilityMinor": "36",
            "gitVersion": GIT_VERSION,
            "gitCommit": option_env!("TIPHYS_COMMIT").unwrap_or("unknown"),
            "gitTreeState": "clean",
            "buildDate": option_env!("TIPHYS_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
            "goVersion": "rust",
            "compiler": "rustc",
            "platform": format!("{}/{arch}", std::env::consts::OS)
        }),
    )
}
