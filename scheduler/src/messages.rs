//! Texts that are kept in English and read back where a page is in Chinese.

/// A text with placeholders: `{name}`, or in English `{name:kind}` where what is filled in has words of its own.
#[derive(Debug, Clone, Copy)]
pub struct Message {
    pub en: &'static str,
    pub zh: &'static str,
}

pub const fn message(en: &'static str, zh: &'static str) -> Message {
    Message { en, zh }
}
