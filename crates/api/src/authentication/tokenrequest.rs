//! TokenRequest: the body of `serviceaccounts/token`, which is no resource of
//! its own. Follows pkg/apis/authentication (v1/defaults.go, validation).

use meta::{Errors, Field, Value};

/// Fills in how long the token is good.
pub fn default(request: &mut Value) {
    let spec = request.make_object().entry("spec");
    crate::fill::absent(spec, "expirationSeconds", 3600);
}

/// What is wrong with a request.
pub fn validate(request: &Field<'_>, errors: &mut Errors) {
    let seconds = request.at(&["spec", "expirationSeconds"]);
    if seconds.int() < 10 * 60 {
        errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds.int() > 1 << 32 {
        errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
    }
}

#[cfg(test)]
mod tests {
    use meta::{Errors, Field, value};

    #[test]
    fn a_token_is_good_for_an_hour() {
        let mut request = value!({"spec": {"audiences": ["a"]}});
        super::default(&mut request);
        assert_eq!(request.i64_at(&["spec", "expirationSeconds"]), Some(3600));
        request.set_at(&["spec", "expirationSeconds"], 10);
        let mut errors = Errors::new();
        super::validate(&Field::root(&request), &mut errors);
        assert_eq!(
            errors.aggregate(),
            "spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes"
        );
    }
}
