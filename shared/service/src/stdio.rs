//! Standard output and standard error of a command.
//!
//! `println!` panics when its reader has gone (`… | head`) or the disk behind it is full. Here the first failure of
//! standard output is remembered and what comes after it is left out; the command itself goes on, because what it does
//! to the fleet must not depend on who reads along. [`exit::finish`](crate::exit::finish) judges at the end: a reader
//! that has gone wanted no more, and the exit code stays the command's own; any other failure ends with 1.
//! A failure of standard error has nobody left to be told to.

use std::{
    fmt,
    io::{self, ErrorKind, Write},
    sync::{Mutex, MutexGuard},
};

/// The first failure of standard output.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

fn failure() -> MutexGuard<'static, Option<io::Error>> {
    crate::lock(&FAILURE)
}

#[expect(clippy::disallowed_methods, reason = "the one place that may")]
fn standard_output() -> io::StdoutLock<'static> {
    io::stdout().lock()
}

/// Writes to standard output; [`out!`](crate::out) and [`outln!`](crate::outln) end here.
pub fn write(text: fmt::Arguments<'_>) {
    attempt(|out| out.write_fmt(text));
}

/// Hands on what is still held back.
pub fn flush() {
    attempt(|out| out.flush());
}

/// Whether nothing can be said any more: what prints without end, or only to print, ends then.
pub fn is_closed() -> bool {
    failure().is_some()
}

fn attempt(work: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) {
    let mut failure = failure();
    if failure.is_none() {
        *failure = work(&mut standard_output()).err();
    }
}

/// Notes that somebody else's write to standard output failed.
pub(crate) fn failed(error: io::Error) {
    failure().get_or_insert(error);
}

/// Why standard output is incomplete, in words; a reader that has gone is no reason.
pub(crate) fn incomplete() -> Option<String> {
    flush();
    let failure = failure();
    let error = failure.as_ref()?;
    (error.kind() != ErrorKind::BrokenPipe)
        .then(|| format!("cannot write to standard output: {error}"))
}

/// Writes to standard error; [`errln!`](crate::errln) ends here.
pub fn write_err(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// `print!` through the [`stdio`](crate::stdio).
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::stdio::write(format_args!($($text)*)) };
}

/// `println!` through the [`stdio`](crate::stdio).
#[macro_export]
macro_rules! outln {
    ($($text:tt)*) => { $crate::stdio::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` through the [`stdio`](crate::stdio).
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::stdio::write_err(format_args!("{}\n", format_args!($($text)*))) };
}
