//! Hashes of passwords: argon2id with the library's defaults (19 MiB, two passes), which are OWASP's.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};

/// What a name that does not exist is compared with, so that it answers no sooner.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash("nobody").unwrap_or_default());

/// The hash of a password, with a salt of its own, as a PHC string.
pub fn hash(password: &str) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| error.to_string())?.to_string())
}

/// Whether this is the password; takes some 20 ms of a core.
pub fn check(password: &str, hash: &str) -> bool {
    let checked = Argon2::default().verify_password(password.as_bytes(), hash);
    checked.is_ok()
}

/// Takes as long as [`check`], for nothing.
pub fn pretend(password: &str) -> bool {
    check(password, &NOBODYS);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_from_others_and_is_hashed_anew_each_time() {
        let stored = hash("correct horse").unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(check("correct horse", &stored) && !check("correct hors", &stored));
        assert_ne!(stored, hash("correct horse").unwrap());
        assert!(!check("correct horse", "no hash") && !pretend("nobody"));
    }
}
